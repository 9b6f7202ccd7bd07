/* SPDX-License-Identifier: Apache-2.0 */
/* What to make: prompts from the command line, files and standard input. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/json.h"
#include "base/utf8.h"
#include "generate/generate_prompts.h"

enum { MAX_PROMPT = 1 << 20 };

#define MAX_SEED 0x1p53 /* JSON's numbers are exact up to here */

/* A prompt with all its samples. uid: their base name. */
static int add_prompt(struct t3d_requests *g, const char *prompt, const char *uid, uint64_t seed,
                      struct t3d_err *err)
{
    size_t size = strlen(prompt);

    if (strspn(prompt, " \t") == size)
        return t3d_err_set(err, T3D_USAGE, "usage", "a prompt has no words");
    if (t3d_utf8_valid(prompt, size) < size)
        return t3d_err_set(err, T3D_USAGE, "usage", "a prompt is not UTF-8");
    for (uint64_t i = 0; i < g->num_samples; i++) {
        struct t3d_request *r;

        if (g->n == g->capacity) {
            struct t3d_request *more = realloc(g->item, (g->capacity * 2 + 64) * sizeof *more);

            if (!more)
                return t3d_err_nomem(err, "the prompts");
            g->item = more;
            g->capacity = g->capacity * 2 + 64;
        }
        r = &g->item[g->n++];
        r->prompt = t3d_strdup(g->arena, prompt);
        r->uid = uid ? g->num_samples > 1
                           ? t3d_sprintf(g->arena, "%s-%llu", uid, (unsigned long long)i)
                           : t3d_strdup(g->arena, uid)
                     : t3d_sprintf(g->arena, "%06zu", g->n - 1);
        r->seed = seed + i;
        if (!r->prompt || !r->uid)
            return t3d_err_nomem(err, "the prompts");
    }
    return T3D_OK;
}

/* A uid names files: it is refused where it could lead elsewhere. */
static int is_uid(const char *s)
{
    size_t n = strlen(s);

    return n >= 1 && n <= 128 && s[0] != '.' &&
           strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") == n;
}

static int add_record(struct t3d_requests *g, const cJSON *o, struct t3d_err *err)
{
    const char *prompt = t3d_json_str(o, "prompt", t3d_json_str(o, "caption", NULL)),
               *uid = t3d_json_str(o, "uid", NULL);
    double seed = t3d_json_num(o, "seed", -1);

    if (!prompt)
        return t3d_err_set(err, T3D_USAGE, "usage", "a record has no \"prompt\"");
    if (uid && !is_uid(uid))
        return t3d_err_set(err, T3D_USAGE, "usage", "uid '%s' is not [A-Za-z0-9._-]{1,128}", uid);
    if (!cJSON_GetObjectItemCaseSensitive(o, "seed"))
        return add_prompt(g, prompt, uid, g->seed, err);
    if (!(seed >= 0 && seed <= MAX_SEED) || seed != floor(seed))
        return t3d_err_set(err, T3D_USAGE, "usage", "seed %g is not a whole number from 0 to 2^53",
                           seed);
    return add_prompt(g, prompt, uid, (uint64_t)seed, err);
}

static int add_line(struct t3d_requests *g, const char *line, struct t3d_err *err)
{
    cJSON *o = line[0] == '{' ? cJSON_Parse(line) : NULL;
    int r;

    if (line[0] == '{' && !o)
        return t3d_err_set(err, T3D_USAGE, "usage", "what begins with { is not a JSON object");
    r = o ? add_record(g, o, err) : add_prompt(g, line, NULL, g->seed, err);

    cJSON_Delete(o);
    return r;
}

static int read_prompts(struct t3d_requests *g, FILE *f, const char *name, struct t3d_err *err)
{
    struct t3d_err why;
    size_t capacity = 0, number = 0;
    char *line = NULL;
    ssize_t n;
    int r = T3D_OK;

    while (r == T3D_OK && (n = getline(&line, &capacity, f)) >= 0) {
        number++;
        while (n > 0 && (line[n - 1] == '\n' || line[n - 1] == '\r'))
            line[--n] = 0;
        if (n > MAX_PROMPT || strlen(line) != (size_t)n)
            r = t3d_err_set(&why, T3D_USAGE, "usage",
                            "a prompt of %zd bytes, or with a NUL, is not a line of text", n);
        else if (n > 0)
            r = add_line(g, line, &why);
        if (r < 0)
            t3d_err_set(err, r, why.reason, "%s, line %zu: %s", name, number, why.msg);
    }
    if (r == T3D_OK && ferror(f))
        r = t3d_err_sys(err, "cannot read", name);
    free(line);
    return r;
}

static int by_uid(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Files are named by uid: of two objects with one uid one would be lost. */
static int check_uids(const struct t3d_requests *g, struct t3d_err *err)
{
    const char **uid = calloc(g->n + 1, sizeof *uid);
    int r = T3D_OK;

    if (!uid)
        return t3d_err_nomem(err, "the prompts");
    for (size_t i = 0; i < g->n; i++)
        uid[i] = g->item[i].uid;
    qsort(uid, g->n, sizeof *uid, by_uid);
    for (size_t i = 1; i < g->n && r == T3D_OK; i++)
        if (strcmp(uid[i - 1], uid[i]) == 0)
            r = t3d_err_set(err, T3D_USAGE, "usage",
                            "two objects have the uid '%s': give each prompt one of its own",
                            uid[i]);
    free(uid);
    return r;
}

int t3d_requests_collect(struct t3d_requests *g, const struct t3d_list *operands, const char *file,
                         int use_stdin, struct t3d_err *err)
{
    int r = T3D_OK;
    FILE *f;

    for (size_t i = 0; i < operands->n && r == T3D_OK; i++)
        r = add_prompt(g, operands->item[i], NULL, g->seed, err);
    if (r == T3D_OK && file) {
        f = fopen(file, "re");
        if (!f)
            return t3d_err_sys(err, "cannot read", file);
        r = read_prompts(g, f, file, err);
        fclose(f);
    }
    if (r == T3D_OK && use_stdin)
        r = read_prompts(g, stdin, "standard input", err);
    if (r == T3D_OK && g->n == 0)
        r = t3d_err_set(err, T3D_USAGE, "usage",
                        "say what to make: t3d generate \"a red cube\" -o cube.ply");
    return r == T3D_OK ? check_uids(g, err) : r;
}
