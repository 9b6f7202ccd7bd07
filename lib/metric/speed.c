/* SPDX-License-Identifier: Apache-2.0 */
#include "metric/speed.h"

#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "geom/import.h"
#include "geom/measure.h"
#include "geom/primitives.h"
#include "geom/read.h"
#include "net/encoder.h"
#include "net/lpips.h"

enum { GENERATED = 32 };

const struct t3d_speed_stage t3d_speed_stages[] = {{"read", t3di_speed_read},
                                                   {"import", t3di_speed_import},
                                                   {"render", t3di_speed_render},
                                                   {"png", t3di_speed_png},
                                                   {"shards", t3di_speed_shards},
                                                   {"manifest", t3di_speed_manifest},
                                                   {"fetch", t3di_speed_fetch},
                                                   {"num", t3di_speed_num},
                                                   {"embed", t3di_speed_embed},
                                                   {"embed-t5", t3di_speed_t5},
                                                   {"splat", t3di_speed_splat},
                                                   {"splat-small", t3di_speed_splat_small},
                                                   {"splat-batch", t3di_speed_splat_batch},
                                                   {"evaluate", t3di_speed_pairs},
                                                   {"chamfer", t3di_speed_chamfer},
                                                   {"emd", t3di_speed_emd},
                                                   {"emd-large", t3di_speed_emd_large},
                                                   {"sample", t3di_speed_sample},
                                                   {"iou", t3di_speed_iou},
                                                   {"pictures", t3di_speed_pictures},
                                                   {"lpips", t3di_speed_lpips},
                                                   {"lpips-vgg", t3di_speed_lpips_vgg},
                                                   {NULL, NULL}};

double t3d_speed_phases(const struct t3d_speed_row *r)
{
    double s = 0;

    for (int i = 0; i < T3D_SPEED_PHASES; i++)
        s += r->phase_s[i];
    return s;
}

double t3d_speed_seconds(const struct t3d_speed_row *r)
{
    return r->wall_s > 0 ? r->wall_s : t3d_speed_phases(r);
}

/* --- inputs
 * ------------------------------------------------------------------------------------------ */

static int add_input(struct t3d_speed *b, const char *path, struct t3d_err *err)
{
    struct t3d_speed_input *in = &b->input[b->n_inputs];
    char *folder, *slash;

    in->path = path;
    folder = t3d_strdup(&b->arena, path);
    if (!folder)
        return t3d_err_nomem(err, path);
    slash = strrchr(folder, '/');
    if (slash)
        *slash = 0;
    in->folder = slash ? folder : ".";
    b->n_inputs++;
    return t3d_blob_open(&in->blob, path, 0, err);
}

static int generate_inputs(struct t3d_speed *b, struct t3d_err *err)
{
    for (uint64_t i = 0; i < GENERATED; i++) {
        struct t3d_primitive_object o;
        char *path = t3d_sprintf(&b->arena, "%s/%02u.glb", b->scratch, (unsigned)i);
        int r = t3d_primitives_object(&o, T3D_WORLD_FULL, 1, i, &b->arena, err);
        if (r == T3D_OK)
            r = path ? t3d_write_file(path, o.glb, o.glb_size, err) : t3d_err_nomem(err, "a path");
        if (r == T3D_OK)
            r = add_input(b, path, err);
        if (r < 0)
            return r;
    }
    return T3D_OK;
}

int t3d_speed_open(struct t3d_speed *b, const char *const *path, size_t n, struct t3d_err *err)
{
    int r = T3D_OK;

    b->input = t3d_alloc(&b->arena, n ? n : GENERATED, sizeof *b->input);
    if (!b->input)
        return t3d_err_nomem(err, "the inputs");
    if (!n)
        return generate_inputs(b, err);
    for (size_t i = 0; i < n && r == T3D_OK; i++)
        r = add_input(b, path[i], err);
    return r;
}

void t3d_speed_close(struct t3d_speed *b)
{
    for (size_t i = 0; i < b->n_inputs; i++)
        t3d_blob_close(&b->input[i].blob);
    t3d_encoder_free(b->encoder);
    t3d_encoder_free(b->t5);
    for (int k = 0; k < 2; k++)
        t3d_lpips_free(b->lpips[k]);
    t3d_arena_free(&b->arena);
}

/* External files of an input, for the reader that runs in this process. */
static int open_beside(void *ctx, const char *name, struct t3d_blob *out, struct t3d_err *err)
{
    const struct t3d_speed_input *in = ctx;
    int fd = t3d_import_resolve_folder((void *)in->folder, name, err), r;

    if (fd < 0)
        return T3D_SKIP;
    r = t3d_blob_open_fd(out, fd, name, 0, err);
    close(fd);
    return r;
}

/* --- read: parse and measure, one thread, no sandbox
 * ----------------------------------------------------- */

int t3di_speed_read(struct t3d_speed *b, struct t3d_speed_row *row, struct t3d_err *err)
{
    struct t3d_arena a = {0};
    int r = T3D_OK;

    *row = (struct t3d_speed_row){.unit = "objects", .threads = 1, .phase = {"parse", "measure"}};
    for (size_t i = 0; i < b->n_inputs && r == T3D_OK; i++) {
        struct t3d_speed_input *in = &b->input[i];
        struct t3d_source src = {in->blob.data, in->blob.size, in->path, open_beside, in};
        struct t3d_scene scene;
        struct t3d_measures m;
        double start = t3d_clock_s(), parsed;
        r = t3d_read_scene(&scene, &a, &src, T3D_READ_HEADERS, err);
        parsed = t3d_clock_s();
        if (r == T3D_OK)
            r = t3d_measure(&m, &scene, &a, err);
        row->phase_s[0] += parsed - start;
        row->phase_s[1] += t3d_clock_s() - parsed;
        row->bytes += (double)in->blob.size;
        row->work++;
        t3d_arena_reset(&a);
    }
    t3d_arena_free(&a);
    return r;
}

/* --- import: the same behind the sandbox
 * ------------------------------------------------------------------ */

int t3di_speed_import(struct t3d_speed *b, struct t3d_speed_row *row, struct t3d_err *err)
{
    struct t3d_arena a = {0};
    int r = T3D_OK;

    *row = (struct t3d_speed_row){.unit = "objects", .threads = 1, .phase = {"import", "measure"}};
    for (size_t i = 0; i < b->n_inputs && r == T3D_OK; i++) {
        struct t3d_imported in;
        struct t3d_measures m;
        double start = t3d_clock_s(), parsed;
        r = t3d_import(b->importer, 0, b->input[i].path, t3d_import_resolve_folder,
                       (void *)b->input[i].folder, T3D_READ_HEADERS, &in, err);
        parsed = t3d_clock_s();
        if (r == T3D_OK) {
            r = t3d_measure(&m, &in.scene, &a, err);
            t3d_imported_close(&in);
        }
        row->phase_s[0] += parsed - start;
        row->phase_s[1] += t3d_clock_s() - parsed;
        row->work++;
        t3d_arena_reset(&a);
    }
    t3d_arena_free(&a);
    return r;
}
