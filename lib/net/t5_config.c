/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <string.h>

#include "base/json.h"
#include "net/t5_impl.h"

enum { MOST_WIDTH = 1 << 20, MOST_LAYERS = 1000, MOST_HEADS = 4096 };

struct reader {
    const cJSON *json;
    const char *path;
    struct t3d_err *err;
    int failed;
};

static int bad(struct reader *r, const char *key, const char *what)
{
    r->failed = 1;
    return t3d_err_set(r->err, T3D_SKIP, "bad-config", "'%s': %s %s", r->path, key, what);
}

/* A whole number from low to high; `otherwise` when the key is absent. */
static int whole(struct reader *r, const char *key, int otherwise, int low, int high)
{
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(r->json, key);
    char what[96];

    if (r->failed || !v || cJSON_IsNull(v))
        return otherwise;
    if (cJSON_IsNumber(v) && v->valuedouble >= low && v->valuedouble <= high &&
        v->valuedouble == floor(v->valuedouble))
        return (int)v->valuedouble;
    snprintf(what, sizeof what, "must be a whole number from %d to %d", low, high);
    bad(r, key, what);
    return otherwise;
}

static void contradicts(struct reader *r, const char *key, const char *proj)
{
    char what[128];

    snprintf(what, sizeof what, "contradicts feed_forward_proj \"%s\"", proj);
    bad(r, key, what);
}

/* feed_forward_proj states the activation; "gated-gelu" means gelu_new, the tanh form. */
static void read_activation(struct reader *r, struct t3di_t5_config *c)
{
    const char *proj = t3d_json_str(r->json, "feed_forward_proj", "relu");
    const char *act = t3d_json_str(r->json, "dense_act_fn", NULL);
    const cJSON *gated = cJSON_GetObjectItemCaseSensitive(r->json, "is_gated_act");
    const char *expected;

    if (strcmp(proj, "relu") && strcmp(proj, "gated-gelu")) {
        r->failed = 1;
        t3d_err_set(r->err, T3D_SKIP, "unsupported-model",
                    "'%s': feed_forward_proj is \"%.40s\"; T5 encoders are read with \"relu\" "
                    "(v1.0) and \"gated-gelu\" (v1.1)",
                    r->path, proj);
        return;
    }
    c->gated = proj[0] == 'g';
    c->act = c->gated ? T3D_ACT_GELU_TANH : T3D_ACT_RELU;
    expected = c->gated ? "gelu_new" : "relu";
    if (act && strcmp(act, expected))
        contradicts(r, "dense_act_fn", proj);
    else if (cJSON_IsBool(gated) && cJSON_IsTrue(gated) != c->gated)
        contradicts(r, "is_gated_act", proj);
}

static void read_all(struct reader *r, struct t3di_t5_config *c)
{
    c->vocab = whole(r, "vocab_size", 32128, 1, 1 << 24);
    c->width = whole(r, "d_model", 512, 1, MOST_WIDTH);
    c->head_width = whole(r, "d_kv", 64, 1, MOST_WIDTH);
    c->hidden = whole(r, "d_ff", 2048, 1, MOST_WIDTH);
    c->layers = whole(r, "num_layers", 6, 1, MOST_LAYERS);
    c->heads = whole(r, "num_heads", 8, 1, MOST_HEADS);
    c->buckets = whole(r, "relative_attention_num_buckets", 32, 4, 1 << 16);
    c->max_distance = whole(r, "relative_attention_max_distance", 128, 2, 1 << 24);
    c->positions = whole(r, "n_positions", 0, 1, 1 << 24);
    c->eps = t3d_json_num(r->json, "layer_norm_epsilon", 1e-6);
    if (!r->failed && (int64_t)c->heads * c->head_width > MOST_WIDTH)
        bad(r, "num_heads", "times d_kv is too large");
    if (!r->failed && (c->buckets % 4 || c->max_distance <= c->buckets / 4))
        bad(r, "relative_attention_num_buckets",
            "must be a multiple of 4 and below "
            "4 relative_attention_max_distance");
    if (!r->failed && !(c->eps > 0 && c->eps < 1))
        bad(r, "layer_norm_epsilon", "must be between 0 and 1");
    if (!r->failed)
        read_activation(r, c);
}

int t3di_t5_configure(struct t3di_t5_config *c, const cJSON *json, const char *path,
                      struct t3d_err *err)
{
    struct reader r = {.json = json, .path = path, .err = err};

    memset(c, 0, sizeof *c);
    read_all(&r, c);
    return r.failed ? T3D_SKIP : T3D_OK;
}

/* With 32 buckets and distance 128 the steps are those that the float32 arithmetic of torch gives;
 * other sizes are computed as it does. */
int t3di_t5_bucket(const struct t3di_t5_config *c, int64_t distance)
{
    static const uint8_t step[] = {8, 12, 16, 23, 32, 46, 64, 91};
    int half = c->buckets / 2, exact = half / 2, bucket;
    int64_t d = distance < 0 ? -distance : distance;

    if (d < exact) {
        bucket = (int)d;
    } else if (c->buckets == 32 && c->max_distance == 128) {
        for (bucket = exact; bucket < half - 1 && d >= step[bucket + 1 - exact];)
            bucket++;
    } else {
        float far = logf((float)d / (float)exact) /
                    (float)log((double)c->max_distance / (double)exact) * (float)(half - exact);
        bucket = exact + (int)fminf(far, (float)c->buckets);
        bucket = T3D_MIN(bucket, half - 1);
    }
    return bucket + (distance > 0 ? half : 0);
}
