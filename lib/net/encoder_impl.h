/* SPDX-License-Identifier: Apache-2.0 */
/* net/encoder_impl.h -- what a family of networks (CLIP, T5) supplies behind net/encoder.h.
 *
 * A family is a table of functions and a row in the list of encoder.c. open reads the folder into
 * e->state (owned), fills e->info and notes where each choice came from; encoder.c has checked the
 * options and makes the generic refusals (no pictures, no texts) from e->info. */
#ifndef T3D_NET_ENCODER_IMPL_H
#define T3D_NET_ENCODER_IMPL_H

#include <cjson/cJSON.h>

#include "base/arena.h"
#include "net/encoder.h"
#include "num/device.h"

/* A folder being opened. */
struct t3di_folder {
    const char *path;
    cJSON *config;    /* config.json, NULL = none */
    cJSON *open_clip; /* open_clip_config.json, NULL = none */
};

struct t3di_encoder_family {
    const char *name;
    /* Is the folder one of this family's, by its configuration? */
    int (*matches)(const struct t3di_folder *f);
    int (*open)(struct t3d_encoder *e, const struct t3di_folder *f, struct t3d_err *err);
    void (*free)(void *state);
    /* As in encoder.h; NULL where the family has no such input. n > 0. */
    int (*picture)(const struct t3d_encoder *e, float *out, const uint8_t *rgba, uint32_t w,
                   uint32_t h, struct t3d_arena *scratch, struct t3d_err *err);
    int (*images)(struct t3d_encoder *e, const float *input, size_t n, float *rows,
                  struct t3d_err *err);
    int (*tokenize)(const struct t3d_encoder *e, struct t3d_tokens *out, const char *text,
                    size_t size, struct t3d_arena *a, struct t3d_err *err);
    int (*texts)(struct t3d_encoder *e, const struct t3d_tokens *tokens, size_t n, float *rows,
                 float *features, struct t3d_err *err);
    /* The piece of an id as text into buf, for explain; NULL = ids alone. */
    const char *(*piece)(const struct t3d_encoder *e, uint32_t id, char *buf, size_t n);
};

extern const struct t3di_encoder_family t3di_clip_family, t3di_t5_family;

struct t3di_note {
    const char *text;
    struct t3di_note *next;
};

struct t3d_encoder {
    const struct t3di_encoder_family *family;
    struct t3d_encoder_info info;
    struct t3d_encoder_options options; /* threads is a number */
    struct t3d_device device;
    const char *path;
    struct t3d_arena arena; /* notes, names */
    struct t3di_note *first_note, *last_note;
    void *state;
};

/* A line of explain. */
void t3di_encoder_note(struct t3d_encoder *e, const char *fmt, ...) T3D_PRINTF(2, 3);

/* Rows of length 1 in place, (n, width). T3D_SKIP "not-finite" names the first row that has no
 * direction. */
int t3di_unit_rows(float *rows, size_t n, int width, struct t3d_err *err) T3D_MUST_CHECK;

#endif
