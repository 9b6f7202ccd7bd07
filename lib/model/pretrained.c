/* SPDX-License-Identifier: Apache-2.0 */
#include "model/pretrained.h"

#include <math.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/json.h"
#include "model/file.h"
#include "store/safetensors.h"

enum { NAME = 512, MAX_CONFIG = 1 << 20 };

struct loading {
    const struct t3d_safetensors *s;
    const char *path;
    struct t3d_graph *g;
    int same_text;
    struct t3d_pretrained_report *report;
    cJSON *names;
};

/* --- beside the weights ---------------------------------------------------------------------- */

/* The folder of a model: the path itself, that of the file, or of a checkpoint the one above. */
static char *folder_of(const char *path, struct t3d_arena *a)
{
    char *dir = t3d_strdup(a, path), *slash;
    struct stat st;

    if (!dir || (stat(path, &st) == 0 && S_ISDIR(st.st_mode)))
        return dir;
    slash = strrchr(dir, '/');
    if (!slash)
        return t3d_strdup(a, ".");
    *slash = 0;
    slash = strrchr(dir, '/');
    if (slash && strcmp(slash + 1, "checkpoints") == 0)
        *slash = 0;
    return *dir ? dir : t3d_strdup(a, "/");
}

static int same_tokenizer(const char *path, const char *hash)
{
    struct t3d_arena a = {0};
    char *dir = folder_of(path, &a), *file = dir ? t3d_path_join(&a, dir, "config.json") : NULL;
    cJSON *json = NULL;
    int same = 0;

    if (hash && file && t3d_json_read(&json, file, MAX_CONFIG, NULL) == T3D_OK)
        same = strcmp(t3d_json_str(json, "tokenizer_sha256", t3d_json_str(json, "text_sha256", "")),
                      hash) == 0;
    cJSON_Delete(json);
    t3d_arena_free(&a);
    return same;
}

static int copy_file(const char *from, const char *to, struct t3d_err *err)
{
    struct t3d_blob b;
    int r = t3d_blob_open(&b, from, 0, err);

    if (r < 0)
        return r;
    r = t3d_write_file(to, b.data, b.size, err);
    t3d_blob_close(&b);
    return r;
}

int t3d_pretrained_vocabulary(const char *path, const char *dir, struct t3d_err *err)
{
    static const char *const file[] = {"vocab.json", "merges.txt"}; /* the last one is the mark */
    struct t3d_arena a = {0};
    char *folder = folder_of(path, &a), *from[2] = {NULL}, *to[2] = {NULL};
    int r = T3D_OK, all = 1;

    for (int i = 0; i < 2 && folder; i++) {
        from[i] = t3d_path_join(&a, folder, file[i]);
        to[i] = t3d_path_join(&a, dir, file[i]);
        all = all && from[i] && access(from[i], F_OK) == 0;
    }
    if (!folder || !from[0] || !to[0] || !from[1] || !to[1])
        r = t3d_err_nomem(err, path);
    else if (all && access(to[1], F_OK) < 0)
        for (int i = 0; i < 2 && r == T3D_OK; i++)
            r = copy_file(from[i], to[i], err);
    t3d_arena_free(&a);
    return r;
}

/* --- the weights ----------------------------------------------------------------------------- */

static int hash_of(const struct t3d_safetensors *s, char hash[T3D_SHA256_HEX], struct t3d_err *err)
{
    struct t3d_sha256 *sha;
    int r = t3d_sha256_new(&sha, err);

    if (r < 0)
        return r;
    for (size_t i = 0; i < s->n_blobs; i++)
        t3d_sha256_add(sha, s->blob[i].data, s->blob[i].size);
    t3d_sha256_end(sha, hash);
    return T3D_OK;
}

int t3d_pretrained_hash(const char *path, char hash[T3D_SHA256_HEX], struct t3d_err *err)
{
    struct t3d_safetensors s;
    int r = t3d_safetensors_open(&s, path, err);

    if (r < 0)
        return r;
    r = hash_of(&s, hash, err);
    t3d_safetensors_close(&s);
    return r;
}

static const char *const prefix[] = {"", "ema/", "weight/"};

static const struct t3d_tensor *find(const struct t3d_safetensors *s, const char *name)
{
    const struct t3d_tensor *t = NULL;
    char full[NAME];

    for (size_t i = 0; i < T3D_COUNT(prefix) && !t; i++) {
        snprintf(full, sizeof full, "%s%s", prefix[i], name);
        t = t3d_safetensors_find(s, full);
    }
    return t;
}

static int note(struct loading *l, int *count, const char *list, const char *name)
{
    cJSON *all = cJSON_GetObjectItem(l->names, list);

    ++*count;
    if (!all)
        all = cJSON_AddArrayToObject(l->names, list);
    return all && cJSON_AddItemToArray(all, cJSON_CreateString(name)) ? T3D_OK : T3D_FAIL;
}

static int take(struct loading *l, const struct t3d_tensor *t, struct t3d_ref p, const char *name,
                struct t3d_err *err)
{
    t3d_real *x = t3d_graph_data(l->g, p);

    t3d_tensor_floats(t, (float *)x);
    for (uint64_t k = 0; k < t->count; k++)
        if (!isfinite(x[k]))
            return t3d_err_set(err, T3D_SKIP, "bad-weights",
                               "%s: tensor %s has a number that is not finite", l->path, name);
    l->report->numbers += (int64_t)t->count;
    return T3D_OK;
}

static int load_one(struct loading *l, int i, struct t3d_err *err)
{
    struct t3d_pretrained_report *r = l->report;
    const char *name;
    struct t3d_ref p = t3d_graph_param_at(l->g, i, &name);
    struct t3d_shape shape = t3d_graph_shape(l->g, p);
    const struct t3d_tensor *t = find(l->s, name);
    int same = t && t->n_axes == shape.n, status;

    r->all_numbers += t3d_shape_count(&shape);
    for (int d = 0; d < shape.n && same; d++)
        same = t->shape[d] == (uint64_t)shape.dim[d];
    if (!t)
        status = note(l, &r->missing, "missing", name);
    else if (strncmp(name, "text.", 5) == 0 && !l->same_text)
        status = note(l, &r->other_text, "other_text", name);
    else if (!same)
        status = note(l, &r->other_shape, "other_shape", name);
    else {
        status = note(l, &r->matched, "matched", name);
        if (status == T3D_OK)
            return take(l, t, p, name, err);
    }
    return status < 0 ? t3d_err_nomem(err, "the report") : T3D_OK;
}

/* Tensors that no parameter takes; of a checkpoint its own copies and moments are not meant. */
static int list_unused(struct loading *l, struct t3d_err *err)
{
    int checkpoint = t3d_safetensors_meta(l->s, "settings") != NULL;

    for (size_t i = 0; i < l->s->n; i++) {
        const char *name = l->s->tensor[i].name;

        if (checkpoint && strncmp(name, "weight/", 7) != 0)
            continue;
        if (t3d_graph_find(l->g, checkpoint ? name + 7 : name).node >= 0)
            continue;
        if (note(l, &l->report->unused, "unused", checkpoint ? name + 7 : name) < 0)
            return t3d_err_nomem(err, "the report");
    }
    return T3D_OK;
}

static int load_all(struct loading *l, struct t3d_err *err)
{
    int r = hash_of(l->s, l->report->hash, err);

    for (int i = 0; i < t3d_graph_n_params(l->g) && r == T3D_OK; i++)
        r = load_one(l, i, err);
    if (r == T3D_OK && !l->report->matched)
        r = t3d_err_set(err, T3D_USAGE, "nothing-fits",
                        "no parameter of the model has the name and shape of a tensor in '%s' (%d "
                        "have the name alone): it is of another model or size",
                        l->path, l->report->other_shape);
    return r == T3D_OK ? list_unused(l, err) : r;
}

int t3d_pretrained_load(const char *path, struct t3d_graph *g, const char *tokenizer_hash,
                        struct t3d_pretrained_report *report, cJSON **names, struct t3d_err *err)
{
    struct t3d_safetensors s;
    struct loading l = {.s = &s,
                        .path = path,
                        .g = g,
                        .same_text = same_tokenizer(path, tokenizer_hash),
                        .report = report,
                        .names = cJSON_CreateObject()};
    int r = t3d_safetensors_open(&s, path, err);

    *report = (struct t3d_pretrained_report){0};
    if (names)
        *names = NULL;
    if (r == T3D_OK) {
        r = l.names ? load_all(&l, err) : t3d_err_nomem(err, "the report");
        t3d_safetensors_close(&s);
    }
    if (r == T3D_OK && names) {
        t3d_json_set_str(l.names, "sha256", report->hash);
        *names = l.names;
        return T3D_OK;
    }
    cJSON_Delete(l.names);
    return r;
}

int t3d_pretrained_begin(const char *path, const char *dir, struct t3d_graph *g,
                         const char *tokenizer_hash, struct t3d_pretrained_report *report,
                         struct t3d_err *err)
{
    cJSON *names;
    int r = t3d_pretrained_load(path, g, tokenizer_hash, report, &names, err);

    return r == T3D_OK ? t3d_model_write_json(dir, "pretrained.json", names, err) : r;
}
