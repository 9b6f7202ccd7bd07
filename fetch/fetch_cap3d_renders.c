/* SPDX-License-Identifier: Apache-2.0 */
/* Cap3D's renders: a zip of zips, Cap3D_Objaverse_renderimgs/<uid>.zip, and in each, flat,
 * 00000.png and 00000.json to 00019: a picture and its camera. The camera's frame is Blender's (+Z
 * up, after glTF's import) with the object centred, its longest side 1; origin, and the axes x
 * right, y down, z forward. */
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/json.h"
#include "base/log.h"
#include "base/tool.h"
#include "fetch/fetch.h"
#include "fetch/fetch_cap3d.h"
#include "geom/camera.h"
#include "store/cap3d.h"
#include "store/reject.h"
#include "store/sample.h"
#include "store/shard.h"
#include "store/zip.h"

enum { VIEWS = 20, MEMBERS = VIEWS + 3, FORMAT = 1 };

static const uint64_t most_bytes = (uint64_t)512 << 20; /* of one object's renders */

struct renders {
    const struct t3d_common *common;
    struct t3d_manifest *m;
    struct fetch_renders *n;
    struct t3d_zip *zip;
    const char *zip_name;
    struct t3d_shards *shards;
    uint32_t side; /* of all pictures; 0 = not known yet */
    char stage[64];
    struct t3d_arena arena; /* of the object */
};

/* --- one camera
 * ------------------------------------------------------------------------------------ */

/* Blender's (x, y, z), +Z up, is (x, z, -y) with +Y up. */
static int vector(const cJSON *o, const char *name, double v[3])
{
    const cJSON *a = cJSON_GetObjectItemCaseSensitive(o, name);
    double in[3];

    for (int i = 0; i < 3; i++) {
        const cJSON *one = cJSON_GetArrayItem(a, i);

        if (!cJSON_IsNumber(one) || !isfinite(one->valuedouble) || fabs(one->valuedouble) > 1e6)
            return -1;
        in[i] = one->valuedouble;
    }
    v[0] = in[0];
    v[1] = in[2];
    v[2] = -in[1];
    return 0;
}

static double dot(const double a[3], const double b[3])
{
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

static int read_camera(struct t3d_camera *c, const cJSON *o)
{
    double eye[3], axis[3][3], fov = t3d_json_num(o, "x_fov", NAN), degree = 180 / M_PI;

    if (vector(o, "origin", eye) < 0 || vector(o, "x", axis[0]) < 0 ||
        vector(o, "y", axis[1]) < 0 || vector(o, "z", axis[2]) < 0)
        return -1;
    for (int i = 0; i < 3; i++)
        for (int k = 0; k <= i; k++)
            if (fabs(dot(axis[i], axis[k]) - (i == k)) > 1e-3)
                return -1;
    memset(c, 0, sizeof *c);
    c->distance = sqrt(dot(eye, eye));
    if (!(fov > 0.01 && fov < 3.1) || !(c->distance > 1e-3) ||
        fabs(fov - t3d_json_num(o, "y_fov", fov)) > 1e-6)
        return -1;
    c->fov_deg = fov * degree;
    c->elevation_deg = asin(eye[1] / c->distance) * degree;
    c->azimuth_deg = fmod(atan2(eye[0], eye[2]) * degree + 360, 360);
    c->near = T3D_MAX(0.01, c->distance - 1.01);
    c->far = c->distance + 1.01;
    for (int i = 0; i < 3; i++) {
        c->c2w[i][0] = axis[0][i];
        c->c2w[i][1] = -axis[1][i];
        c->c2w[i][2] = -axis[2][i];
        c->c2w[i][3] = eye[i];
        for (int k = 0; k < 3; k++)
            c->w2c[i][k] = axis[i][k];
        c->w2c[i][3] = -dot(axis[i], eye);
    }
    c->c2w[3][3] = c->w2c[3][3] = 1;
    return 0;
}

/* --- one object
 * ------------------------------------------------------------------------------------ */

struct sample {
    struct t3d_member member[MEMBERS];
    uint8_t *data[VIEWS];
    char *text[2];
    struct t3d_camera camera[VIEWS];
    uint32_t side;
};

static int skip(struct t3d_err *err, const char *reason, const char *uid, const char *what,
                int view)
{
    return t3d_err_set(err, T3D_SKIP, reason, "renders of %s: view %05d %s", uid, view, what);
}

/* 00007.png and 00007.json. */
static int read_view(struct sample *s, const struct t3d_zip *inner, const char *uid, int i,
                     struct t3d_err *err)
{
    char name[32];
    const struct t3d_zip_member *png, *json;
    uint8_t *text;
    cJSON *o;
    int r, bad;

    snprintf(name, sizeof name, "%05d.png", i);
    png = t3d_zip_find(inner, name);
    snprintf(name, sizeof name, "%05d.json", i);
    json = t3d_zip_find(inner, name);
    if (!png || !json)
        return skip(err, "missing-view", uid, "is not in its archive", i);
    r = t3d_zip_read(inner, json, 1 << 20, &text, err);
    if (r < 0)
        return r;
    o = cJSON_ParseWithLength((const char *)text, json->size);
    free(text);
    bad = read_camera(&s->camera[i], o) < 0;
    cJSON_Delete(o);
    if (bad)
        return skip(err, "bad-camera", uid, "has no sound camera", i);
    r = t3d_zip_read(inner, png, most_bytes, &s->data[i], err);
    if (r < 0)
        return r;
    s->side = t3d_cap3d_picture(s->data[i], png->size);
    if (!s->side)
        return skip(err, "bad-picture", uid, "is no sound square PNG picture", i);
    s->member[i].data = s->data[i];
    s->member[i].size = png->size;
    return T3D_OK;
}

static int add_json(struct sample *s, int slot, const char *suffix, cJSON *o, struct t3d_err *err)
{
    s->text[slot] = o ? t3d_json_text(o, 0) : NULL;
    cJSON_Delete(o);
    if (!s->text[slot])
        return t3d_err_nomem(err, suffix);
    s->member[VIEWS + slot] = (struct t3d_member){suffix, s->text[slot], strlen(s->text[slot])};
    return T3D_OK;
}

/* KEY.json, KEY.cameras.json, KEY.txt as render writes them. */
static int add_words(struct renders *x, struct sample *s, const struct t3d_object *o,
                     struct t3d_err *err)
{
    const struct t3d_normalisation unit = {{0, 0, 0}, 1};
    struct t3d_view_set set = {.name = "cap3d", .n = VIEWS, .camera = s->camera};
    cJSON *json = t3d_sample_json(o);
    const char *captions = t3d_sample_captions(o, &x->arena);
    int r;

    t3d_json_set_str(json, "view_set", "cap3d");
    t3d_json_set_num(json, "views", VIEWS);
    t3d_json_set_num(json, "resolution", s->side);
    t3d_json_set_str(json, "light", "cap3d");
    t3d_json_set_str(json, "frame", "longest side 1");
    r = captions ? add_json(s, 0, "json", json, err) : t3d_err_nomem(err, o->uid);
    if (r == T3D_OK)
        r = add_json(s, 1, "cameras.json", t3d_cameras_json(&set, s->side, &unit), err);
    if (r == T3D_OK)
        s->member[VIEWS + 2] = (struct t3d_member){"txt", captions, strlen(captions)};
    return r;
}

static int read_sample(struct renders *x, struct sample *s, const struct t3d_zip_member *member,
                       const struct t3d_object *o, struct t3d_err *err)
{
    struct t3d_zip *inner = NULL;
    uint8_t *data;
    uint32_t side = 0;
    int r = t3d_zip_read(x->zip, member, most_bytes, &data, err);

    if (r < 0)
        return r;
    r = t3d_zip_parse(&inner, data, member->size, member->name, err);
    for (int i = 0; i < VIEWS && r == T3D_OK; i++) {
        s->member[i].suffix = t3d_sprintf(&x->arena, "v%02d.png", i);
        r = s->member[i].suffix ? read_view(s, inner, o->uid, i, err) : t3d_err_nomem(err, o->uid);
        if (r == T3D_OK && side && side != s->side)
            r = skip(err, "bad-picture", o->uid, "has another size than the first", i);
        side = s->side;
    }
    if (r == T3D_OK && x->side && x->side != side)
        r = skip(err, "bad-picture", o->uid, "has another size than those of other objects", 0);
    t3d_zip_close(inner);
    free(data);
    return r == T3D_OK ? add_words(x, s, o, err) : r;
}

static int open_shards(struct renders *x, uint32_t side, struct t3d_err *err)
{
    char *dir = t3d_sprintf(&x->arena, "%s/renders/cap3d-%u", x->common->workspace, side);

    x->side = side;
    snprintf(x->stage, sizeof x->stage, "render/cap3d-%u", side);
    return dir ? t3d_shards_open(&x->shards, dir, x->common->shard_index, x->common->shard_count,
                                 err)
               : t3d_err_nomem(err, "the shards");
}

/* Data, then the row. A failure leaves the object's other renders as they are. */
static int put(struct renders *x, const struct sample *s, const struct t3d_object *o,
               const char state_key[65], struct t3d_err *err)
{
    struct t3d_state state = {.code = T3D_STATE_OK, .value = NAN};
    char key[33];
    int r = x->shards ? T3D_OK : open_shards(x, s->side, err);

    t3d_object_key(o, key);
    memcpy(state.key, state_key, sizeof state.key);
    if (r == T3D_OK)
        r = t3d_shards_put(x->shards, o->num, key, s->member, MEMBERS, err);
    if (r == T3D_OK)
        r = t3d_manifest_begin(x->m, err);
    if (r < 0)
        return r;
    r = t3d_manifest_put_state(x->m, x->stage, o->num, &state, err);
    if (r == T3D_OK)
        r = t3d_manifest_put_state(x->m, "render", o->num, &state, err);
    if (r == T3D_OK)
        return t3d_manifest_commit(x->m, err);
    t3d_manifest_rollback(x->m);
    return r;
}

/* What the sample is made of: the archive's member and the words. */
static void key_of(const struct t3d_zip_member *member, const struct t3d_object *o, char key[65])
{
    char text[200];
    struct t3d_sha256 *h = NULL;

    key[0] = 0;
    if (t3d_sha256_new(&h, NULL) < 0)
        return;
    snprintf(text, sizeof text, "cap3d %d %08x %llu %s", FORMAT, member->crc,
             (unsigned long long)member->size, o->content);
    t3d_sha256_add_str(h, text);
    t3d_sha256_add_str(h, o->license ? o->license : "");
    for (size_t i = 0; i < o->n_captions; i++)
        t3d_sha256_add_str(h, o->caption[i]);
    t3d_sha256_end(h, key);
}

/* 1 = render may work on it, 0 = not, or an error. */
static int is_ready(struct renders *x, const struct t3d_object *o, struct t3d_err *err)
{
    struct t3d_state s;
    int r = t3d_manifest_find_state(x->m, "fetch", o->num, &s, err);

    if (r == T3D_OK && s.code == T3D_STATE_OK)
        r = t3d_manifest_find_state(x->m, "filter", o->num, &s, err);
    return r < 0 ? r : s.code == T3D_STATE_OK;
}

static int take_object(struct renders *x, const struct t3d_zip_member *member,
                       const struct t3d_object *o, struct t3d_err *err)
{
    struct sample s = {0};
    struct t3d_state old = {0};
    char key[65];
    int r;

    x->n->in_archives++;
    r = is_ready(x, o, err);
    if (r <= 0) {
        x->n->not_ready += r == 0;
        return r;
    }
    if (x->common->dry_run)
        return T3D_OK;
    key_of(member, o, key);
    r = x->shards ? t3d_manifest_find_state(x->m, x->stage, o->num, &old, err) : T3D_OK;
    if (r == T3D_OK && old.code == T3D_STATE_OK && strcmp(old.key, key) == 0 && !x->common->redo &&
        t3d_shards_has(x->shards, o->num)) {
        x->n->unchanged++;
        return T3D_OK;
    }
    if (r == T3D_OK)
        r = read_sample(x, &s, member, o, err);
    if (r == T3D_OK)
        r = put(x, &s, o, key, err);
    for (int i = 0; i < VIEWS; i++)
        free(s.data[i]);
    free(s.text[0]);
    free(s.text[1]);
    x->n->ok += r == T3D_OK;
    return r;
}

/* --- archives
 * -------------------------------------------------------------------------------------- */

/* The uid of "…/<uid>.zip"; "" = it is something else. */
static void uid_of(const char *name, char uid[T3D_UID_SIZE])
{
    const char *base = strrchr(name, '/');
    size_t n;

    base = base ? base + 1 : name;
    n = strlen(base);
    uid[0] = 0;
    if (n > 4 && n - 4 < T3D_UID_SIZE && strcmp(base + n - 4, ".zip") == 0)
        snprintf(uid, T3D_UID_SIZE, "%.*s", (int)(n - 4), base);
    if (!t3d_uid_valid(uid))
        uid[0] = 0;
}

/* Shards of an earlier import, so that what is there is known before anything is read. */
static int find_shards(struct renders *x, struct t3d_err *err)
{
    char path[4096];

    for (uint32_t side = 64; side <= 2048 && !x->shards && !x->common->dry_run; side *= 2) {
        snprintf(path, sizeof path, "%s/renders/cap3d-%u", x->common->workspace, side);
        if (access(path, F_OK) == 0)
            return open_shards(x, side, err);
    }
    return T3D_OK;
}

static int take_members(struct renders *x, FILE *rejects, struct t3d_err *err)
{
    size_t n;
    const struct t3d_zip_member *member = t3d_zip_members(x->zip, &n);
    struct t3d_object o;
    char uid[T3D_UID_SIZE];
    int r = T3D_OK;

    for (size_t i = 0; i < n && r == T3D_OK && !t3d_stop_requested(); i++) {
        struct t3d_err why;

        t3d_arena_reset(&x->arena);
        uid_of(member[i].name, uid);
        if (!*uid)
            continue;
        r = t3d_manifest_find(x->m, uid, &o, &x->arena, err);
        if (r == T3D_END) {
            r = T3D_OK;
            continue;
        }
        if (r == T3D_OK)
            r = take_object(x, &member[i], &o, &why);
        if (r == T3D_SKIP) {
            x->n->failed++;
            t3d_warn("%s", why.msg);
            r = t3d_reject_write(rejects, uid, "render", "fail", &why, member[i].name, err);
        } else if (r < 0) {
            *err = why;
        }
    }
    return r;
}

static int take_zip(struct renders *x, const char *path, FILE *rejects, struct t3d_err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC), r;

    if (fd < 0)
        return t3d_err_set(err, T3D_USAGE, "usage", "--renders: cannot read '%s'", path);
    x->zip_name = path;
    r = t3d_zip_open(&x->zip, fd, path, err);
    if (r == T3D_OK)
        r = take_members(x, rejects, err);
    else if (r == T3D_SKIP)
        err->code = r = T3D_FAIL;
    t3d_zip_close(x->zip);
    x->zip = NULL;
    close(fd);
    return r;
}

int fetch_cap3d_renders(const struct t3d_common *common, const struct t3d_list *zips,
                        struct t3d_manifest *m, struct fetch_renders *n, struct t3d_err *err)
{
    struct renders x = {.common = common, .m = m, .n = n};
    FILE *rejects = common->rejects ? fopen(common->rejects, "we") : NULL;
    int r = common->rejects && !rejects ? t3d_err_sys(err, "cannot write", common->rejects)
                                        : find_shards(&x, err);

    for (size_t i = 0; i < zips->n && r == T3D_OK; i++)
        r = take_zip(&x, zips->item[i], rejects, err);
    if (x.shards) {
        struct t3d_err later;
        int finish = t3d_shards_finish(x.shards, r == T3D_OK ? err : &later);

        r = r == T3D_OK ? finish : r;
    }
    t3d_shards_close(x.shards);
    t3d_arena_free(&x.arena);
    if (rejects)
        fclose(rejects);
    return r;
}
