/* SPDX-License-Identifier: Apache-2.0 */
#include "metric/memo.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"

enum { BUCKETS = 256 };

struct t3d_memo {
    char *path;
    int fd;
    cJSON *bucket[BUCKETS]; /* objects, by the hash of the key: a list of cJSON is searched */
};

static cJSON *bucket_of(const struct t3d_memo *m, const char *key)
{
    unsigned h = 5381;

    for (; *key; key++)
        h = h * 33 + (unsigned char)*key;
    return m->bucket[h % BUCKETS];
}

static int keep(struct t3d_memo *m, const char *key, cJSON *value, struct t3d_err *err)
{
    return t3d_json_set(bucket_of(m, key), key, value) == 0 ? T3D_OK
                                                            : t3d_err_nomem(err, "what is known");
}

static int read_lines(struct t3d_memo *m, FILE *f, struct t3d_err *err)
{
    struct t3d_ndjson in;
    cJSON *line;
    int r;

    t3d_ndjson_init(&in, f, m->path);
    while ((r = t3d_ndjson_next(&in, &line, err)) == T3D_OK) {
        const char *key = t3d_json_str(line, "key", NULL);
        cJSON *value = cJSON_DetachItemFromObjectCaseSensitive(line, "value");

        r = key && value ? keep(m, key, value, err)
                         : t3d_err_set(err, T3D_SKIP, "not-json",
                                       "'%s', line %llu: no \"key\" and \"value\"; if the file is "
                                       "not needed remove it",
                                       m->path, (unsigned long long)in.number);
        if (!key)
            cJSON_Delete(value);
        cJSON_Delete(line);
        if (r < 0)
            break;
    }
    t3d_ndjson_fini(&in);
    return r == T3D_END ? T3D_OK : r;
}

/* Cut off what is behind the last newline. */
static int trim(const struct t3d_memo *m, struct t3d_err *err)
{
    off_t size = lseek(m->fd, 0, SEEK_END);
    char byte = '\n';

    while (size > 0 && pread(m->fd, &byte, 1, size - 1) == 1 && byte != '\n')
        size--;
    if (size < 0 || ftruncate(m->fd, size) < 0)
        return t3d_err_sys(err, "cannot write", m->path);
    return T3D_OK;
}

static int open_file(struct t3d_memo *m, struct t3d_err *err)
{
    FILE *f;
    int r = t3d_make_parent(m->path, err);

    if (r < 0)
        return r;
    m->fd = open(m->path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (m->fd < 0)
        return t3d_err_sys(err, "cannot open", m->path);
    if (flock(m->fd, LOCK_EX | LOCK_NB) < 0)
        return t3d_err_set(err, T3D_RETRY, "busy", "another run is at work with '%s'", m->path);
    r = trim(m, err);
    if (r < 0)
        return r;
    f = fopen(m->path, "re");
    if (!f)
        return t3d_err_sys(err, "cannot read", m->path);
    r = read_lines(m, f, err);
    fclose(f);
    return r;
}

int t3d_memo_open(struct t3d_memo **out, const char *path, struct t3d_err *err)
{
    struct t3d_memo *m = calloc(1, sizeof *m);
    int r = T3D_OK;

    if (!m)
        return t3d_err_nomem(err, "what is known");
    m->fd = -1;
    m->path = path ? strdup(path) : NULL;
    for (int i = 0; i < BUCKETS && r == T3D_OK; i++)
        r = (m->bucket[i] = cJSON_CreateObject()) ? T3D_OK : t3d_err_nomem(err, "what is known");
    if (r == T3D_OK && path)
        r = m->path ? open_file(m, err) : t3d_err_nomem(err, path);
    if (r == T3D_OK)
        *out = m;
    else
        t3d_memo_close(m);
    return r;
}

void t3d_memo_close(struct t3d_memo *m)
{
    if (!m)
        return;
    for (int i = 0; i < BUCKETS; i++)
        cJSON_Delete(m->bucket[i]);
    if (m->fd >= 0)
        close(m->fd);
    free(m->path);
    free(m);
}

const cJSON *t3d_memo_find(const struct t3d_memo *m, const char *key)
{
    return cJSON_GetObjectItemCaseSensitive(bucket_of(m, key), key);
}

static char *line_of(const char *key, const cJSON *value)
{
    cJSON *o = cJSON_CreateObject();
    char *text, *line = NULL;

    t3d_json_set_str(o, "key", key);
    cJSON_AddItemReferenceToObject(o, "value", (cJSON *)(uintptr_t)value);
    text = t3d_json_text(o, 0);
    if (text && asprintf(&line, "%s\n", text) < 0)
        line = NULL;
    free(text);
    cJSON_Delete(o);
    return line;
}

int t3d_memo_put(struct t3d_memo *m, const char *key, cJSON *value, struct t3d_err *err)
{
    char *line = line_of(key, value);
    off_t end = m->fd >= 0 ? lseek(m->fd, 0, SEEK_END) : 0;
    int r = line ? T3D_OK : t3d_err_nomem(err, "what is known");

    if (r == T3D_OK && m->fd >= 0)
        r = t3d_write_all(m->fd, line, strlen(line), m->path, err);
    if (r < 0 && m->fd >= 0 && ftruncate(m->fd, end) < 0) /* half a line is no use */
        close(m->fd), m->fd = -1;
    free(line);
    if (r == T3D_OK)
        return keep(m, key, value, err);
    cJSON_Delete(value);
    return r;
}
