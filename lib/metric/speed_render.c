/* SPDX-License-Identifier: Apache-2.0 */
/* The rows that make pictures: render, png, shards. */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/par.h"
#include "draw/views.h"
#include "geom/import.h"
#include "geom/read.h"
#include "image/image.h"
#include "image/png.h"
#include "metric/speed.h"
#include "store/shard.h"

/* --- render: 20 views, PNG and shard, all threads
 * ----------------------------------------------------------- */

struct run {
    struct t3d_speed *bench;
    struct t3d_speed_row *row;
    struct t3d_view_set set;
    struct t3d_painter **painter;
    struct t3d_shards *shards;
    size_t next;
};

struct job {
    size_t input;
    int status;
    struct t3d_err err;
    struct t3d_arena arena;
    struct t3d_views views;
    double import_s;
};

static int next_job(void *ctx, void **item, struct t3d_err *err)
{
    struct run *r = ctx;
    struct job *j;

    if (r->next == r->bench->n_inputs)
        return T3D_END;
    j = calloc(1, sizeof *j);
    if (!j)
        return t3d_err_nomem(err, "a job");
    j->input = r->next++;
    *item = j;
    return T3D_OK;
}

static void work_job(void *ctx, int thread, void *item)
{
    struct run *r = ctx;
    struct job *j = item;
    struct t3d_speed_input *in = &r->bench->input[j->input];
    struct t3d_imported imported;
    double start = t3d_clock_s();

    j->status = t3d_import(r->bench->importer, thread, in->path, t3d_import_resolve_folder,
                           (void *)in->folder, T3D_READ_PIXELS, &imported, &j->err);
    j->import_s = t3d_clock_s() - start;
    if (j->status < 0)
        return;
    j->status = t3d_paint_views(r->painter[thread], &imported.scene, &r->set,
                                t3d_light_find("studio"), &j->arena, &j->views, &j->err);
    t3d_imported_close(&imported);
}

static void drop_job(void *ctx, void *item)
{
    struct job *j = item;

    (void)ctx;
    t3d_arena_free(&j->arena);
    free(j);
}

static int emit_job(void *ctx, void *item, struct t3d_err *err)
{
    struct run *r = ctx;
    struct job *j = item;
    struct t3d_member member[64];
    char name[64][12], key[33];
    double start = t3d_clock_s();
    int status = j->status;

    if (status < 0 && err)
        *err = j->err;
    snprintf(key, sizeof key, "%032zx", j->input);
    for (size_t i = 0; i < j->views.n && status == T3D_OK; i++) {
        snprintf(name[i], sizeof name[i], "v%02u.png", (unsigned)(i % 100));
        member[i] = (struct t3d_member){name[i], j->views.picture[i].png[0].data,
                                        j->views.picture[i].png[0].size};
        r->row->bytes += (double)member[i].size;
    }
    if (status == T3D_OK)
        status = t3d_shards_put(r->shards, (int64_t)j->input, key, member, j->views.n, err);
    r->row->phase_s[0] += j->import_s;
    r->row->phase_s[1] += j->views.model_s;
    r->row->phase_s[2] += j->views.draw_s;
    r->row->phase_s[3] += j->views.encode_s;
    r->row->phase_s[4] += t3d_clock_s() - start;
    r->row->work++;
    drop_job(ctx, item);
    return status;
}

int t3di_speed_render(struct t3d_speed *b, struct t3d_speed_row *row, struct t3d_err *err)
{
    static const struct t3d_pipe_ops ops = {
        .next = next_job, .work = work_job, .emit = emit_job, .drop = drop_job};
    struct run r = {.bench = b, .row = row};
    char *dir =
        t3d_sprintf(&b->arena, "%s/render.%d", b->scratch, (int)(t3d_clock_s() * 1000) % 1000000);
    int threads = b->threads, status;
    double start, finishing;

    *row = (struct t3d_speed_row){.unit = "objects",
                                  .threads = threads,
                                  .phase = {"import", "prepare", "draw", "png", "shard"}};
    r.painter = t3d_alloc(&b->arena, (size_t)threads, sizeof(struct t3d_painter *));
    if (!dir || !r.painter)
        return t3d_err_nomem(err, "the render row");
    status = t3d_view_set_load(&r.set, "ring16+4", &b->arena, err);
    for (int i = 0; i < threads && status == T3D_OK; i++)
        status = t3d_painter_new(&r.painter[i], b->resolution, T3D_PASS_COLOR, err);
    if (status == T3D_OK)
        status = t3d_shards_open(&r.shards, dir, 0, 1, err);
    start = t3d_clock_s();
    if (status == T3D_OK)
        status = t3d_pipe_run(&ops, &r, threads, 4 * (size_t)threads, err);
    finishing = t3d_clock_s();
    if (status == T3D_OK)
        status = t3d_shards_finish(r.shards, err);
    row->phase_s[4] += t3d_clock_s() - finishing;
    row->wall_s = t3d_clock_s() - start;
    t3d_shards_close(r.shards);
    for (int i = 0; i < threads; i++)
        t3d_painter_free(r.painter[i]);
    return status;
}

/* --- png and shards: on pictures of the first input
 * ----------------------------------------------------------- */

/* The 20 views of the first input, encoded; kept for the run. */
static int first_pictures(struct t3d_speed *b, struct t3d_views *views, struct t3d_err *err)
{
    struct t3d_painter *p = NULL;
    struct t3d_view_set set;
    struct t3d_imported in;
    int r = t3d_view_set_load(&set, "ring16+4", &b->arena, err);

    if (r == T3D_OK)
        r = t3d_painter_new(&p, b->resolution, T3D_PASS_COLOR, err);
    if (r == T3D_OK)
        r = t3d_import(b->importer, 0, b->input[0].path, t3d_import_resolve_folder,
                       (void *)b->input[0].folder, T3D_READ_PIXELS, &in, err);
    if (r == T3D_OK) {
        r = t3d_paint_views(p, &in.scene, &set, t3d_light_find("studio"), &b->arena, views, err);
        t3d_imported_close(&in);
    }
    t3d_painter_free(p);
    return r;
}

int t3di_speed_png(struct t3d_speed *b, struct t3d_speed_row *row, struct t3d_err *err)
{
    struct t3d_png_writer *w = NULL;
    struct t3d_arena a = {0};
    struct t3d_views views;
    int r = first_pictures(b, &views, err);

    *row = (struct t3d_speed_row){.unit = "pictures", .threads = 1, .phase = {"decode", "encode"}};
    if (r == T3D_OK)
        r = t3d_png_writer_new(&w, err);
    for (size_t i = 0; r == T3D_OK && i < views.n; i++) {
        const struct t3d_png *png = &views.picture[i].png[0];
        struct t3d_image_info info;
        const uint8_t *out;
        uint8_t *pixels;
        size_t size;
        double start = t3d_clock_s(), decoded;
        r = t3d_image_decode(&info, &pixels, &a, png->data, png->size, err);
        decoded = t3d_clock_s();
        if (r == T3D_OK)
            r = t3d_png_encode(w, pixels, info.width, info.height, 4, 8, NULL, 0, &out, &size, err);
        row->phase_s[0] += decoded - start;
        row->phase_s[1] += t3d_clock_s() - decoded;
        row->bytes += (double)png->size;
        row->work++;
        t3d_arena_reset(&a);
    }
    t3d_png_writer_free(w);
    t3d_arena_free(&a);
    return r;
}

enum { SHARD_SAMPLES = 200 };

static int write_samples(const char *dir, const struct t3d_views *v, struct t3d_speed_row *row,
                         struct t3d_err *err)
{
    struct t3d_shards *s = NULL;
    struct t3d_member member[64];
    char name[64][12], key[33];
    int r = t3d_shards_open(&s, dir, 0, 1, err);

    for (size_t i = 0; i < v->n; i++) {
        snprintf(name[i], sizeof name[i], "v%02u.png", (unsigned)(i % 100));
        member[i] =
            (struct t3d_member){name[i], v->picture[i].png[0].data, v->picture[i].png[0].size};
        row->bytes += SHARD_SAMPLES * (double)member[i].size;
    }
    for (int k = 0; k < SHARD_SAMPLES && r == T3D_OK; k++) {
        snprintf(key, sizeof key, "%032d", k);
        r = t3d_shards_put(s, k, key, member, v->n, err);
    }
    if (r == T3D_OK)
        r = t3d_shards_finish(s, err);
    t3d_shards_close(s);
    return r;
}

/* All pictures of a sample, on all threads. */
static int decode_sample(const struct t3d_sample *s, int threads, struct t3d_err *err)
{
    int status = T3D_OK;

#pragma omp parallel num_threads(threads)
    {
        struct t3d_arena a = {0};
#pragma omp for schedule(dynamic)
        for (size_t i = 0; i < s->n; i++) {
            struct t3d_image_info info;
            uint8_t *pixels;
            struct t3d_err mine;
            int r =
                t3d_image_decode(&info, &pixels, &a, s->member[i].data, s->member[i].size, &mine);
            t3d_arena_reset(&a);
#pragma omp critical
            if (r < 0) {
                status = r;
                *err = mine;
            }
        }
        t3d_arena_free(&a);
    }
    return status;
}

int t3di_speed_shards(struct t3d_speed *b, struct t3d_speed_row *row, struct t3d_err *err)
{
    struct t3d_shard_reader *reader = NULL;
    struct t3d_arena a = {0};
    struct t3d_sample sample;
    struct t3d_views views;
    char *dir = t3d_sprintf(&b->arena, "%s/shards.%zu", b->scratch, b->arena.used);
    int r = dir ? first_pictures(b, &views, err) : t3d_err_nomem(err, "a path");
    double start = t3d_clock_s();

    *row = (struct t3d_speed_row){
        .unit = "objects", .work = SHARD_SAMPLES, .threads = 1, .phase = {"write", "read+decode"}};
    if (r == T3D_OK)
        r = write_samples(dir, &views, row, err);
    row->phase_s[0] = t3d_clock_s() - start;
    start = t3d_clock_s();
    if (r == T3D_OK)
        r = t3d_shard_reader_open(&reader, t3d_sprintf(&b->arena, "%s/000000.tar", dir), err);
    while (r == T3D_OK && (r = t3d_shard_reader_next(reader, &sample, &a, err)) == T3D_OK) {
        r = decode_sample(&sample, b->threads, err);
        t3d_arena_reset(&a);
    }
    row->phase_s[1] = t3d_clock_s() - start;
    t3d_shard_reader_close(reader);
    t3d_arena_free(&a);
    return r == T3D_END ? T3D_OK : r;
}
