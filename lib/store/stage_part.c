/* SPDX-License-Identifier: Apache-2.0 */
/* parts/<stage>.p<i>of<N>.ndjson ('/' in the stage's name as '.'): the records of the objects of
 * one part, with this stage's state; then .done, a JSON object with the counts and the SHA-256 of
 * the .ndjson. */
#include <inttypes.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/file.h"
#include "base/hash.h"
#include "store/stage_impl.h"

struct part {
    struct t3d_manifest *m;
    const char *stage;
    uint32_t index, count;
    struct t3d_sha256 *hash;
    struct t3d_out out;
    uint64_t n[T3D_STATE_CLAIMED + 1];
};

static int write_record(struct part *p, const struct t3d_object *o, struct t3d_err *err)
{
    cJSON *record;
    char *text;
    size_t n;
    int r = t3d_manifest_record(p->m, o, &record, err);

    if (r < 0)
        return r;
    /* Numbers depend on the manifest; the one that merges has its own. */
    cJSON_DeleteItemFromObjectCaseSensitive(record, "num");
    text = t3d_json_text(record, 0);
    cJSON_Delete(record);
    if (!text)
        return t3d_err_nomem(err, "a record");
    n = strlen(text);
    text[n] = '\n'; /* in place of the NUL */
    t3d_sha256_add(p->hash, text, n + 1);
    if (fwrite(text, 1, n + 1, p->out.f) != n + 1)
        r = t3d_err_sys(err, "cannot write", p->out.path);
    free(text);
    return r;
}

static int write_records(struct part *p, struct t3d_err *err)
{
    struct t3d_arena a = {0};
    struct t3d_cursor *c;
    struct t3d_object o;
    struct t3d_state s;
    int r = t3d_cursor_open(&c, p->m, 0, err);

    while (r == T3D_OK) {
        t3d_arena_reset(&a);
        r = t3d_cursor_next(c, &o, &a, err);
        if (r != T3D_OK)
            break;
        if (t3d_hash64(o.uid) % p->count != p->index)
            continue;
        r = t3d_manifest_find_state(p->m, p->stage, o.num, &s, err);
        if (r < 0 || s.code == T3D_STATE_NONE || s.code == T3D_STATE_CLAIMED)
            continue;
        p->n[s.code]++;
        r = write_record(p, &o, err);
    }
    t3d_cursor_close(c);
    t3d_arena_free(&a);
    return r < 0 ? r : T3D_OK;
}

static int write_done(const struct part *p, const char *path, const char *sha256,
                      struct t3d_err *err)
{
    char text[512];
    int n = snprintf(text, sizeof text,
                     "{\"schema\":1,\"stage\":\"%s\",\"shard\":\"%" PRIu32 "/%" PRIu32
                     "\",\"ok\":%" PRIu64 ",\"rejected\":%" PRIu64 ",\"failed\":%" PRIu64
                     ",\"sha256\":\"%s\"}\n",
                     p->stage, p->index, p->count, p->n[T3D_STATE_OK], p->n[T3D_STATE_REJECT],
                     p->n[T3D_STATE_FAIL], sha256);

    return t3d_write_file(path, text, (size_t)n, err);
}

int t3di_stage_write_part(struct t3d_manifest *m, const char *stage, uint32_t index, uint32_t count,
                          struct t3d_err *err)
{
    struct part p = {.m = m, .stage = stage, .index = index, .count = count};
    struct t3d_arena a = {0};
    char sha256[65];
    char *base = t3d_sprintf(&a, "%s/parts/%s.p%" PRIu32 "of%" PRIu32, t3d_manifest_workspace(m),
                             stage, index, count);
    char *name = base ? base + strlen(t3d_manifest_workspace(m)) + strlen("/parts/") : NULL;
    char *records, *done;
    int r;

    for (char *s = name; s && (s = strchr(s, '/'));)
        *s = '.';
    records = base ? t3d_sprintf(&a, "%s.ndjson", base) : NULL;
    done = base ? t3d_sprintf(&a, "%s.done", base) : NULL;
    r = records && done ? t3d_make_parent(done, err) : t3d_err_nomem(err, stage);

    if (r == T3D_OK) {
        unlink(done);
        r = t3d_out_open(&p.out, records, err);
    }
    if (r == T3D_OK)
        r = t3d_sha256_new(&p.hash, err);
    if (r == T3D_OK)
        r = write_records(&p, err);
    if (p.hash)
        t3d_sha256_end(p.hash, sha256);
    if (r == T3D_OK)
        r = t3d_out_commit(&p.out, 1, err);
    t3d_out_abort(&p.out);
    if (r == T3D_OK)
        r = write_done(&p, done, sha256, err);
    t3d_arena_free(&a);
    return r;
}
