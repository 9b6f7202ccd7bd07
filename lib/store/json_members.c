/* SPDX-License-Identifier: Apache-2.0 */
#include "store/json_members.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/arena.h"
#include "base/jsontok.h"

enum { BLOCK = 1 << 18, LONGEST = 64 << 20 };

struct t3d_json_members {
    gzFile f;
    char *name, *text; /* bytes [start, end) of text are read and not used */
    size_t start, end, capacity;
    uint64_t offset; /* of text[0] in the JSON */
    int eof, begun, done;
    struct t3d_arena arena;
};

int t3d_json_members_open(struct t3d_json_members **out, const char *path, struct t3d_err *err)
{
    struct t3d_json_members *j = calloc(1, sizeof *j);

    if (!j || !(j->name = strdup(path)) || !(j->text = malloc(BLOCK))) {
        t3d_json_members_close(j);
        return t3d_err_nomem(err, path);
    }
    j->capacity = BLOCK;
    j->f = gzopen(path, "rbe");
    if (!j->f) {
        t3d_err_set(err, T3D_USAGE, "usage", "cannot read '%s': %s", path,
                    errno ? strerror(errno) : "out of memory");
        t3d_json_members_close(j);
        return T3D_USAGE;
    }
    gzbuffer(j->f, BLOCK);
    *out = j;
    return T3D_OK;
}

void t3d_json_members_close(struct t3d_json_members *j)
{
    if (!j)
        return;
    if (j->f)
        gzclose_r(j->f);
    t3d_arena_free(&j->arena);
    free(j->name);
    free(j->text);
    free(j);
}

static int bad(const struct t3d_json_members *j, size_t at, const char *what, struct t3d_err *err)
{
    return t3d_err_set(err, T3D_FAIL, "bad-json", "'%s' byte %llu: %s", j->name,
                       (unsigned long long)(j->offset + at), what);
}

/* More bytes behind end; those before start go. T3D_END = there are no more. */
static int more(struct t3d_json_members *j, struct t3d_err *err)
{
    int k, code;

    if (j->eof)
        return T3D_END;
    memmove(j->text, j->text + j->start, j->end - j->start);
    j->offset += j->start;
    j->end -= j->start;
    j->start = 0;
    if (j->end + BLOCK > j->capacity) {
        size_t capacity = 2 * j->capacity;
        char *text = capacity <= LONGEST ? realloc(j->text, capacity) : NULL;

        if (!text)
            return capacity > LONGEST ? t3d_err_set(err, T3D_FAIL, "too-large",
                                                    "'%s' byte %llu: a member has more than 32 MiB",
                                                    j->name, (unsigned long long)j->offset)
                                      : t3d_err_nomem(err, j->name);
        j->text = text;
        j->capacity = capacity;
    }
    k = gzread(j->f, j->text + j->end, BLOCK - 1);
    gzerror(j->f, &code);
    if (k < 0 || (code != Z_OK && code != Z_STREAM_END))
        return t3d_err_set(err, T3D_FAIL, "bad-gzip", "'%s' is damaged or cut off", j->name);
    j->end += (size_t)k;
    j->eof = k == 0;
    return k ? T3D_OK : T3D_END;
}

static int is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* The next byte that is not white space, not taken; 0 = the end. */
static int peek(struct t3d_json_members *j, char *c, struct t3d_err *err)
{
    for (*c = 0;; j->start++) {
        while (j->start == j->end) {
            int r = more(j, err);

            if (r != T3D_OK)
                return r == T3D_END ? T3D_OK : r;
        }
        if (!is_space(j->text[j->start])) {
            *c = j->text[j->start];
            return T3D_OK;
        }
    }
}

/* Bytes of the value that begins at start; without the white space behind it. For a string, up to
 * its closing quote. */
static int find_end(struct t3d_json_members *j, size_t *n, struct t3d_err *err)
{
    size_t i = 0, depth = 0;
    int quoted = 0, escaped = 0, r;

    for (;; i++) {
        char c;

        while (j->start + i == j->end) {
            r = more(j, err);
            if (r != T3D_OK)
                return r == T3D_END ? bad(j, j->end, "the text is cut off", err) : r;
        }
        c = j->text[j->start + i];
        if (quoted) {
            quoted = escaped || c != '"';
            escaped = !escaped && c == '\\';
        } else if (c == '"') {
            quoted = 1;
        } else if (c == '{' || c == '[') {
            depth++;
        } else if (depth == 0 && (c == ',' || c == '}' || c == ':')) {
            break;
        } else if (c == '}' || c == ']') {
            if (depth == 0)
                return bad(j, j->start + i, "a bracket that nothing opens", err);
            depth--;
        }
    }
    while (i && is_space(j->text[j->start + i - 1]))
        i--;
    *n = i;
    return i ? T3D_OK : bad(j, j->start, "a value is missing", err);
}

static int take_key(struct t3d_json_members *j, struct t3d_json_member *m, struct t3d_err *err)
{
    struct t3d_jsontok t;
    size_t n;
    char c;
    int r = find_end(j, &n, err);

    if (r < 0)
        return r;
    t3d_arena_reset(&j->arena);
    m->at = j->offset + j->start;
    if (t3d_jsontok_parse(&t, &j->arena, j->text + j->start, n, 1, NULL) < 0 ||
        t.tok[T3D_JTOK_ROOT].type != T3D_JTOK_STRING)
        return bad(j, j->start, "a member has no name", err);
    m->key = t3d_jtok_string(&t, T3D_JTOK_ROOT, &j->arena);
    if (!m->key)
        return t3d_err_nomem(err, j->name);
    j->start += n;
    r = peek(j, &c, err);
    if (r == T3D_OK && c != ':')
        return bad(j, j->start, "':' is missing", err);
    j->start++;
    return r;
}

/* Behind the closing brace: white space to the end of the file, whose checksum is read too. */
static int end(struct t3d_json_members *j, struct t3d_err *err)
{
    char c;
    int r = peek(j, &c, err);

    j->done = 1;
    if (r < 0)
        return r;
    return c ? bad(j, j->start, "there is text behind the object", err) : T3D_END;
}

/* The comma or brace before a member: T3D_OK, T3D_END behind the last one. */
static int before(struct t3d_json_members *j, struct t3d_err *err)
{
    char c;
    int r = peek(j, &c, err);

    if (r < 0)
        return r;
    if (c != (j->begun ? ',' : '{') && !(j->begun && c == '}'))
        return bad(j, j->start,
                   c == 0     ? "the text is cut off"
                   : j->begun ? "',' or '}' is missing"
                              : "is not a JSON object",
                   err);
    j->start++;
    if (c == '}')
        return end(j, err);
    r = peek(j, &c, err);
    if (r == T3D_OK && c == '}' && !j->begun) {
        j->start++;
        return end(j, err);
    }
    j->begun = 1;
    return r;
}

int t3d_json_members_next(struct t3d_json_members *j, struct t3d_json_member *m,
                          struct t3d_err *err)
{
    size_t n;
    char c;
    int r = j->done ? T3D_END : before(j, err);

    if (r == T3D_OK)
        r = take_key(j, m, err);
    if (r == T3D_OK)
        r = peek(j, &c, err);
    if (r == T3D_OK)
        r = find_end(j, &n, err);
    if (r != T3D_OK)
        return r;
    m->value = t3d_strndup(&j->arena, j->text + j->start, n);
    m->n = n;
    j->start += n;
    return m->value ? T3D_OK : t3d_err_nomem(err, j->name);
}
