/* SPDX-License-Identifier: Apache-2.0 */
/* t3d fetch primitives: objects of the built-in world. */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/tool.h"
#include "fetch/fetch.h"
#include "geom/primitives.h"

struct conf {
    struct t3d_common common;
    uint64_t count;
    const char *world;
};

static const struct t3d_opt opts[] = {
    {'n', "count", T3D_OPT_U64, offsetof(struct conf, count), "N", "200", NULL,
     "number of objects"},
    {0, "world", T3D_OPT_STRING, offsetof(struct conf, world), "NAME", "full", "one core full",
     "one: a lone object of 6 colours x 5 shapes; core: these alone or A on B; full: more shapes, "
     "colours, relations, textures"},
    {0}};

struct world {
    struct t3d_fetch f;
    const struct conf *conf;
    uint64_t at;
};

struct primitive {
    struct t3d_fetch_job base;
    uint64_t index;
};

static int next_primitive(void *ctx, void **item, struct t3d_err *err)
{
    struct world *w = ctx;
    struct primitive *j;
    int r = T3D_OK;

    if (w->at == w->conf->count || t3d_stop_requested())
        return T3D_END;
    j = t3d_fetch_job_new(sizeof *j);
    if (!j)
        return t3d_err_nomem(err, "an object");
    j->index = w->at++;
    /* No path begins so: it is remembered as a file is. */
    j->base.item.file =
        t3d_sprintf(&j->base.item.arena, "primitives " T3D_VERSION " %s %llu %llu", w->conf->world,
                    (unsigned long long)w->conf->common.seed, (unsigned long long)j->index);
    r = j->base.item.file ? t3d_fetch_recall(&w->f, &j->base, err)
                          : t3d_err_nomem(err, "an object");
    if (r < 0)
        t3d_fetch_drop(w, j);
    *item = j;
    return r;
}

static void fill_in(struct t3d_intake_item *in, const struct t3d_primitive_object *p)
{
    struct t3d_object *o = &in->object;

    snprintf(o->uid, sizeof o->uid, "%s", p->uid);
    snprintf(o->ending, sizeof o->ending, "glb");
    memcpy(o->file_sha256, o->content, sizeof o->content);
    o->bytes = p->glb_size;
    o->source = "primitives";
    o->path = t3d_sprintf(&in->arena, "%s.glb", p->uid);
    o->license = "CC0-1.0";
    o->group = t3d_strdup(&in->arena, p->group);
    o->split = p->split;
    o->split_given = 1;
    o->caption = p->caption;
    o->n_captions = p->n_captions;
    in->stamp = t3d_sprintf(&in->arena, "%s\n", o->content);
    in->given_uid = in->replace = 1;
    in->code = T3D_STATE_OK;
}

static void work_primitive(void *ctx, int thread, void *item)
{
    const struct world *w = ctx;
    struct primitive *j = item;
    struct t3d_intake_item *in = &j->base.item;
    struct t3d_primitive_object p;
    enum t3d_world world = strcmp(w->conf->world, "one") == 0    ? T3D_WORLD_ONE
                           : strcmp(w->conf->world, "core") == 0 ? T3D_WORLD_CORE
                                                                 : T3D_WORLD_FULL;
    const char *workspace = w->conf->common.workspace;
    int r;

    (void)thread;
    if (t3d_stamp_is_stored(j->base.stamp, workspace, "glb")) {
        j->base.unchanged = 1;
        return;
    }
    r = t3d_primitives_object(&p, world, w->conf->common.seed, j->index, &in->arena, &in->err);
    if (r == T3D_OK && !t3d_fetch_in_shard(&w->f, p.uid)) {
        j->base.unchanged = j->base.foreign = 1;
        return;
    }
    if (r == T3D_OK)
        r = t3d_content_add(workspace, p.glb, p.glb_size, "glb", in->object.content, &in->err);
    if (r == T3D_OK) {
        fill_in(in, &p);
        if (!in->object.path || !in->object.group || !in->stamp)
            r = t3d_err_nomem(&in->err, p.uid);
    }
    if (r < 0)
        t3d_fetch_set_failure(&j->base, r);
}

static int emit_primitive(void *ctx, void *item, struct t3d_err *err)
{
    struct world *w = ctx;
    struct primitive *j = item;

    if (j->base.fatal)
        return t3d_fetch_fatal(&w->f, &j->base, err);
    if (j->base.foreign) {
        t3d_fetch_drop(w, j);
        return T3D_OK;
    }
    return j->base.unchanged ? t3d_fetch_skip(&w->f, &j->base)
                             : t3d_fetch_hand_over(&w->f, &j->base, err);
}

static int preview_primitives(struct world *w, struct t3d_err *err)
{
    uint64_t known = 0, total = 0;
    void *item = NULL;
    int r;

    for (; (r = next_primitive(w, &item, err)) == T3D_OK; total++) {
        struct primitive *j = item;

        known += t3d_stamp_is_stored(j->base.stamp, w->conf->common.workspace, "glb") != 0;
        t3d_fetch_drop(w, j);
    }
    if (r < 0)
        return r;
    t3d_info("dry run: %llu objects, %llu unchanged, %llu to make", (unsigned long long)total,
             (unsigned long long)known, (unsigned long long)(total - known));
    return T3D_EXIT_OK;
}

static int run(void *conf, struct t3d_err *err)
{
    static const struct t3d_pipe_ops ops = {.next = next_primitive,
                                            .work = work_primitive,
                                            .emit = emit_primitive,
                                            .drop = t3d_fetch_drop};
    struct conf *c = conf;
    struct world w = {.f = {.common = &c->common, .n = c->count}, .conf = c};
    int r = t3d_fetch_open(&w.f, err);

    if (r == T3D_OK)
        r = c->common.dry_run ? preview_primitives(&w, err) : t3d_fetch_run(&w.f, &ops, &w, 0, err);
    return t3d_fetch_close(&w.f, r);
}

const struct t3d_command fetch_primitives = {.name = "primitives",
                                             .summary =
                                                 "make captioned objects of the built-in world",
                                             .opts = opts,
                                             .conf_size = sizeof(struct conf),
                                             .run = run};
