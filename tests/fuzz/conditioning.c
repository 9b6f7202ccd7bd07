/* SPDX-License-Identifier: Apache-2.0 */
/* libFuzzer target: what says whose token features are, and of which captions: embed.json and,
 * after the first byte 0xff, tokens.ndjson over a table of eight rows; the first part is also read
 * as config.json of a generator. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "model/conditioning.h"
#include "store/npy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ROWS = 8, WIDTH = 3, BATCH = 1 };

static char workspace[64], dir[128], path[160];

static void clean(void)
{
    t3d_remove_tree(workspace);
}

static void put(const char *name, const void *data, size_t size)
{
    snprintf(path, sizeof path, "%s/%s", dir, name);
    if (t3d_write_file(path, data, size, NULL) < 0)
        abort();
}

static void prepare(void)
{
    const uint64_t shape[2] = {ROWS, WIDTH};
    uint16_t half[ROWS * WIDTH];

    for (int i = 0; i < ROWS * WIDTH; i++)
        half[i] = (uint16_t)(i < 20 ? 0x3c00 + i : 0x7c00); /* the last rows are infinite */
    snprintf(workspace, sizeof workspace, "/tmp/t3d-fuzz-conditioning.%ld", (long)getpid());
    snprintf(dir, sizeof dir, "%s/embeddings/x", workspace);
    atexit(clean);
    if (t3d_make_dirs(dir, NULL) < 0)
        abort();
    snprintf(path, sizeof path, "%s/tokens.npy", dir);
    if (t3d_npy_write(path, T3D_NPY_F16, shape, 2, half, NULL) < 0)
        abort();
}

/* A caption that is there has finite features, one that is not is told about. */
static void use(struct t3d_conditioning *t, const struct t3d_generator_config *c)
{
    struct t3d_graph *g = t3d_graph_new(T3D_CPU, 1);
    struct t3d_generator m = t3d_generator_build(g, c, BATCH);
    struct t3d_plan plan = {.loss = T3D_NONE};
    struct t3d_condition text = {"a cube", 6, 0, 0};
    struct t3d_err err;
    int r;

    if (t3d_graph_build(g, &plan, &err) < 0)
        abort();
    r = t3d_conditioning_put(t, g, &m, c, &text, BATCH, &err);
    if (r == T3D_OK) {
        const float *x = t3d_graph_data(g, m.features[0]);

        for (int i = 0; i < c->encoder[0].tokens * WIDTH; i++)
            if (!(x[i] >= 0 && x[i] < 2))
                abort();
    } else if (r != T3D_USAGE && r != T3D_FAIL) {
        abort();
    }
    t3d_graph_free(g);
}

static void read_config(const char *text, size_t size)
{
    cJSON *json = cJSON_ParseWithLength(text, size);
    struct t3d_generator_config c;

    if (json && t3d_generator_from_json(&c, json, NULL) == T3D_OK &&
        (c.n_encoders < 0 || c.n_encoders > T3D_GENERATOR_ENCODERS || t3d_generator_text(&c) < 2))
        abort();
    cJSON_Delete(json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *cut = size ? memchr(data, 0xff, size) : NULL;
    size_t first = cut ? (size_t)(cut - data) : size;
    struct t3d_generator_config c = {.width = 8,
                                     .layers = 1,
                                     .heads = 1,
                                     .side = 8,
                                     .patch = 8,
                                     .text_tokens = 2,
                                     .n_encoders = 1};
    struct t3d_conditioning *t;
    struct t3d_err err;

    if (!*workspace)
        prepare();
    read_config((const char *)data, first);
    put("embed.json", data, first);
    put("tokens.ndjson", cut ? cut + 1 : data, cut ? size - first - 1 : 0);
    if (t3d_conditioning_find(&c.encoder[0], workspace, "x", 2, &err) < 0 ||
        t3d_conditioning_stored(&t, &c, workspace, &err) < 0)
        return 0;
    use(t, &c);
    t3d_conditioning_free(t);
    return 0;
}
