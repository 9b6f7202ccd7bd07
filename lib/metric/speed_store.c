/* SPDX-License-Identifier: Apache-2.0 */
/* The manifest row: register objects, then run an empty stage over them (choose, claim, save). */
#include <math.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/hash.h"
#include "metric/speed.h"
#include "store/manifest.h"
#include "store/stage.h"

enum { BATCH = 4096 };

static int register_one(struct t3d_manifest *m, uint64_t i, struct t3d_err *err)
{
    static const struct t3d_state done = {.code = T3D_STATE_OK, .value = NAN};
    struct t3d_object o = {.ending = "glb", .bytes = 1000, .source = "bench", .path = ""};
    char name[32];
    int r;

    snprintf(name, sizeof name, "%llu", (unsigned long long)i);
    t3d_sha256_hex(name, sizeof name, o.content);
    snprintf(o.file_sha256, sizeof o.file_sha256, "%s", o.content);
    snprintf(o.uid, sizeof o.uid, "%.32s", o.content);
    o.path = name;
    r = t3d_manifest_register(m, &o, 0, err);
    return r < 0 ? r : t3d_manifest_put_state(m, "fetch", o.num, &done, err);
}

static int register_all(struct t3d_manifest *m, uint64_t n, struct t3d_err *err)
{
    int r = T3D_OK;

    for (uint64_t i = 0; i < n && r == T3D_OK; i++) {
        if (i % BATCH == 0)
            r = t3d_manifest_begin(m, err);
        if (r == T3D_OK)
            r = register_one(m, i, err);
        if (r == T3D_OK && (i % BATCH == BATCH - 1 || i == n - 1))
            r = t3d_manifest_commit(m, err);
    }
    return r;
}

static void accept(void *ctx, int thread, struct t3d_stage_item *item)
{
    (void)ctx, (void)thread;
    item->code = T3D_STATE_OK;
}

int t3di_speed_manifest(struct t3d_speed *b, struct t3d_speed_row *row, struct t3d_err *err)
{
    static const char *const needs[] = {"fetch", NULL};
    const struct t3d_stage stage = {
        .name = "bench", .needs = needs, .format_version = 1, .work = accept};
    struct t3d_common common = {.workspace = ".",
                                .threads = b->threads,
                                .progress = "none",
                                .quiet = 1,
                                .shard_count = 1,
                                .given = ""};
    struct t3d_stage_summary summary;
    struct t3d_manifest *m = NULL;
    char *dir = t3d_sprintf(&b->arena, "%s/manifest", b->scratch);
    double start;
    int r;

    *row = (struct t3d_speed_row){.unit = "objects",
                                  .work = (double)b->objects,
                                  .threads = b->threads,
                                  .phase = {"register", "claim+save"}};
    if (!dir)
        return t3d_err_nomem(err, "a path");
    r = t3d_make_dirs(dir, err);
    if (r == T3D_OK)
        r = t3d_manifest_open(&m, dir, T3D_MANIFEST_CREATE, err);
    start = t3d_clock_s();
    if (r == T3D_OK)
        r = register_all(m, b->objects, err);
    row->phase_s[0] = t3d_clock_s() - start;
    start = t3d_clock_s();
    if (r == T3D_OK)
        r = t3d_stage_run(&stage, NULL, m, &common, &summary, err);
    row->phase_s[1] = t3d_clock_s() - start;
    t3d_manifest_close(m);
    t3d_remove_tree(dir);
    return r;
}
