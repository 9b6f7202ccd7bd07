/* SPDX-License-Identifier: Apache-2.0 */
/* metric/speed.h -- the rows of `t3d bench speed`: one run of a stage's work, timed by phases.
 *
 * A row is a function that does a fixed amount of work once; the tool runs it six times and prints
 * the median of the last five. Later stages add a row to t3d_speed_stages; rows of models are the
 * tool's, since metric does not see model. */
#ifndef T3D_METRIC_SPEED_H
#define T3D_METRIC_SPEED_H

#include <stdint.h>

#include "base/arena.h"
#include "base/file.h"

struct t3d_encoder;
struct t3d_importer;
struct t3d_lpips;

enum { T3D_SPEED_PHASES = 6 };

/* A 3D file that the rows work on. */
struct t3d_speed_input {
    const char *path, *folder; /* folder: where its external files are */
    struct t3d_blob blob;
};

struct t3d_speed {
    struct t3d_arena arena; /* of the whole bench */
    const char *scratch;    /* an empty folder of ours */
    uint32_t resolution;
    uint64_t objects; /* in the manifest row */
    int threads;
    struct t3d_importer *importer; /* with `threads` slots */
    struct t3d_speed_input *input;
    size_t n_inputs;
    struct t3d_encoder *encoder, *t5; /* of the embed rows, NULL until they run */
    struct t3d_lpips *lpips[2];       /* AlexNet, VGG-16 */
};

struct t3d_speed_row {
    const char *unit;   /* what `work` counts: "objects", "pictures" */
    double work, bytes; /* of one run; bytes 0 = not stated */
    int threads;
    const char *phase[T3D_SPEED_PHASES]; /* names, NULL after the last */
    double phase_s[T3D_SPEED_PHASES];
    double wall_s;  /* of a parallel row; else the phases' sum is the time */
    double memory;  /* bytes it works in; 0 = not stated */
    double first_s; /* from its start to the end of its first work; 0 = not stated */
};

struct t3d_speed_stage {
    const char *name;
    int (*run)(struct t3d_speed *b, struct t3d_speed_row *row, struct t3d_err *err);
};

extern const struct t3d_speed_stage t3d_speed_stages[]; /* ends with name NULL */
/* Their names, for the option table. */
#define T3D_SPEED_NAMES                                                                            \
    "read import render png shards manifest fetch num embed embed-t5 splat splat-small "           \
    "splat-batch "                                                                                 \
    "evaluate chamfer emd emd-large sample iou pictures lpips lpips-vgg"

/* Open the files named, or write and open the generated ones when n is 0. Close before the arena
 * goes. */
int t3d_speed_open(struct t3d_speed *b, const char *const *path, size_t n,
                   struct t3d_err *err) T3D_MUST_CHECK;
void t3d_speed_close(struct t3d_speed *b);

/* The row's time: wall_s, or the sum of its phases. */
double t3d_speed_seconds(const struct t3d_speed_row *r);
double t3d_speed_phases(const struct t3d_speed_row *r);

/* Shared by the files of this layer. */
int t3di_speed_read(struct t3d_speed *b, struct t3d_speed_row *row, struct t3d_err *err);
int t3di_speed_import(struct t3d_speed *b, struct t3d_speed_row *row, struct t3d_err *err);
int t3di_speed_render(struct t3d_speed *b, struct t3d_speed_row *row, struct t3d_err *err);
int t3di_speed_png(struct t3d_speed *b, struct t3d_speed_row *row, struct t3d_err *err);
int t3di_speed_shards(struct t3d_speed *b, struct t3d_speed_row *row, struct t3d_err *err);
int t3di_speed_manifest(struct t3d_speed *b, struct t3d_speed_row *row, struct t3d_err *err);
int t3di_speed_fetch(struct t3d_speed *b, struct t3d_speed_row *row, struct t3d_err *err);
int t3di_speed_num(struct t3d_speed *b, struct t3d_speed_row *row, struct t3d_err *err);
int t3di_speed_embed(struct t3d_speed *b, struct t3d_speed_row *row, struct t3d_err *err);
int t3di_speed_t5(struct t3d_speed *b, struct t3d_speed_row *row, struct t3d_err *err);
int t3di_speed_splat(struct t3d_speed *b, struct t3d_speed_row *row, struct t3d_err *err);
int t3di_speed_splat_small(struct t3d_speed *b, struct t3d_speed_row *row, struct t3d_err *err);
int t3di_speed_splat_batch(struct t3d_speed *b, struct t3d_speed_row *row, struct t3d_err *err);
int t3di_speed_pairs(struct t3d_speed *b, struct t3d_speed_row *row, struct t3d_err *err);
int t3di_speed_chamfer(struct t3d_speed *b, struct t3d_speed_row *row, struct t3d_err *err);
int t3di_speed_emd(struct t3d_speed *b, struct t3d_speed_row *row, struct t3d_err *err);
int t3di_speed_emd_large(struct t3d_speed *b, struct t3d_speed_row *row, struct t3d_err *err);
int t3di_speed_sample(struct t3d_speed *b, struct t3d_speed_row *row, struct t3d_err *err);
int t3di_speed_iou(struct t3d_speed *b, struct t3d_speed_row *row, struct t3d_err *err);
int t3di_speed_lpips(struct t3d_speed *b, struct t3d_speed_row *row, struct t3d_err *err);
int t3di_speed_lpips_vgg(struct t3d_speed *b, struct t3d_speed_row *row, struct t3d_err *err);
int t3di_speed_pictures(struct t3d_speed *b, struct t3d_speed_row *row, struct t3d_err *err);

#endif
