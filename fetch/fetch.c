/* SPDX-License-Identifier: Apache-2.0 */
/* t3d-fetch: put 3D objects into a workspace, from folders, from addresses or from the built-in
 * world; and weights of networks. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "base/tool.h"
#include "base/walk.h"
#include "geom/import.h"
#include "geom/names.h"
#include "geom/primitives.h"
#include "geom/read.h"
#include "store/fetch.h"
#include "store/weights.h"

enum { MAX_TOKEN = 4096 };

struct conf {
    struct t3d_common common;
    const char *captions, *license, *dataset, *uid_from; /* local */
    uint64_t count;                                      /* primitives */
    const char *world;
    struct t3d_list allow_net, licenses; /* weights, urls */
    const char *base_url, *revision, *token_file, *token_host, *retry;
    uint64_t transfers, per_host, attempts, max_size;
    double timeout, backoff, max_wait;
    int list, json;
};

static const struct t3d_opt local_opts[] = {
    {0, "captions", T3D_OPT_STRING, offsetof(struct conf, captions), "FILE", NULL, NULL,
     "captions, licences and ids: csv, json or ndjson, matched by uid, path or sha256"},
    {0, "license", T3D_OPT_STRING, offsetof(struct conf, license), "L", NULL, NULL,
     "licence of objects to which --captions gives none (SPDX identifier)"},
    {0, "dataset", T3D_OPT_STRING, offsetof(struct conf, dataset), "NAME", NULL, NULL,
     "name of the data set in the manifest; else that of --captions, else local"},
    {0, "uid-from", T3D_OPT_STRING, offsetof(struct conf, uid_from), "WHAT", "content",
     "content name",
     "uid of an object: from its content, or the file's name without ending, as in Objaverse"},
    {0}};

static const struct t3d_opt primitives_opts[] = {
    {'n', "count", T3D_OPT_U64, offsetof(struct conf, count), "N", "200", NULL,
     "number of objects"},
    {0, "world", T3D_OPT_STRING, offsetof(struct conf, world), "NAME", "full", "core full",
     "core: 6 colours x 5 shapes, alone or A on B; full: more shapes, colours, relations, "
     "textures"},
    {0}};

static const struct t3d_opt urls_opts[] = {
    {0, "captions", T3D_OPT_STRING, offsetof(struct conf, captions), "FILE", NULL, NULL,
     "captions, licences and ids beside those of the list, matched by address, sha256 or uid"},
    {0, "license", T3D_OPT_STRING, offsetof(struct conf, license), "L", NULL, NULL,
     "licence of objects to which no list gives one (SPDX identifier)"},
    {0, "licenses", T3D_OPT_WORDS, offsetof(struct conf, licenses), "LIST", NULL, NULL,
     "fetch only objects with one of these licences; the others are rejected"},
    {0, "max-size", T3D_OPT_SIZE, offsetof(struct conf, max_size), "BYTES", "1Gi", NULL,
     "largest object"},
    {0, "dataset", T3D_OPT_STRING, offsetof(struct conf, dataset), "NAME", NULL, NULL,
     "name of the data set in the manifest; urls by default"},
    {0, "retry", T3D_OPT_STRING, offsetof(struct conf, retry), "WHAT", NULL, "failed",
     "failed: only rows that have failed before, permanent failures too"},
    {0, "allow-net", T3D_OPT_WORDS, offsetof(struct conf, allow_net), "CIDR", NULL, NULL,
     "private networks that may be connected to"},
    {0, "token-file", T3D_OPT_STRING, offsetof(struct conf, token_file), "FILE", NULL, NULL,
     "file with a bearer token for --token-host"},
    {0, "token-host", T3D_OPT_STRING, offsetof(struct conf, token_host), "HOST", NULL, NULL,
     "the one host (and :port) that the token is sent to, over https"},
    {0, "transfers", T3D_OPT_U64, offsetof(struct conf, transfers), "N", "64", NULL,
     "most transfers at once"},
    {0, "per-host", T3D_OPT_U64, offsetof(struct conf, per_host), "N", "32", NULL,
     "most transfers at once from one host; how many there are follows its goodput"},
    {0, "attempts", T3D_OPT_U64, offsetof(struct conf, attempts), "N", "5", NULL,
     "requests for an object whose failures are transient"},
    {0, "timeout", T3D_OPT_DOUBLE, offsetof(struct conf, timeout), "S", "30", NULL,
     "end an attempt that has had less than 1000 bytes a second for so long"},
    {0, "backoff", T3D_OPT_DOUBLE, offsetof(struct conf, backoff), "S", "0.5", NULL,
     "first pause before another attempt; it grows to 60 s, with jitter"},
    {0, "max-wait", T3D_OPT_DOUBLE, offsetof(struct conf, max_wait), "S", "300", NULL,
     "longest pause that a host may ask for"},
    {0}};

static const struct t3d_opt weights_opts[] = {
    {0, "list", T3D_OPT_BOOL, offsetof(struct conf, list), NULL, NULL, NULL,
     "print the catalogue: names, sizes, licences, addresses and SHA-256 where known"},
    {0, "json", T3D_OPT_BOOL, offsetof(struct conf, json), NULL, NULL, NULL,
     "with --list: one JSON object a line"},
    {0, "base-url", T3D_OPT_STRING, offsetof(struct conf, base_url), "URL", NULL, NULL,
     "a mirror: takes the place of scheme and host of the addresses"},
    {0, "revision", T3D_OPT_STRING, offsetof(struct conf, revision), "REV", NULL, NULL,
     "branch, tag or commit of the hub's repository; main by default"},
    {0, "allow-net", T3D_OPT_WORDS, offsetof(struct conf, allow_net), "CIDR", NULL, NULL,
     "private network that may be connected to, for a mirror"},
    {0, "token-file", T3D_OPT_STRING, offsetof(struct conf, token_file), "FILE", NULL, NULL,
     "file with a bearer token, sent to the home of the files (or --base-url) alone"},
    {0}};

static struct t3d_importer *importer;

static int before(int threads, struct t3d_err *err)
{
    return t3d_importer_open(&importer, threads, NULL, err);
}

/* The names of other files, each copied into the content store as it is found. */
static int names(int thread, const char *path, const char *ending, struct t3d_gather *files,
                 struct t3d_err *err)
{
    struct t3d_imported in;
    struct t3d_blob b;
    int may, r;

    if (t3d_ending_in(path, "ply stl off"))
        return T3D_OK;
    r = t3d_blob_open(&b, path, 0, err);
    if (r < 0)
        return r;
    may = t3d_may_name_files(b.data, b.size, ending);
    t3d_blob_close(&b);
    if (!may)
        return T3D_OK;
    r = t3d_import(importer, thread, path, t3d_gather_resolve, files, T3D_READ_NAMES, &in, err);
    if (r == T3D_OK)
        t3d_imported_close(&in);
    return r;
}

static int run_local(void *conf, struct t3d_err *err)
{
    struct conf *c = conf;
    struct t3d_fetch f = {.common = &c->common, .names = names};
    struct t3d_fetch_local local = {.paths = &c->common.operands,
                                    .captions = c->captions,
                                    .license = c->license,
                                    .dataset = c->dataset,
                                    .uid_from_name = strcmp(c->uid_from, "name") == 0,
                                    .open = t3d_import_resolve_folder};

    return t3d_fetch_close(&f, t3d_fetch_local(&f, &local, err));
}

/* --- t3d fetch primitives
 * -------------------------------------------------------------------------------- */

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
    enum t3d_world world = strcmp(w->conf->world, "core") == 0 ? T3D_WORLD_CORE : T3D_WORLD_FULL;
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

static int run_primitives(void *conf, struct t3d_err *err)
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

/* --- t3d fetch urls, t3d fetch weights
 * ---------------------------------------------------------------------------- */

/* The first line of the file; secrets are never on the command line, where others see them. */
static int read_token(const char *path, char token[MAX_TOKEN], struct t3d_err *err)
{
    struct t3d_blob b;
    size_t n;
    int r = t3d_blob_open(&b, path, MAX_TOKEN - 1, err);

    if (r < 0)
        return t3d_err_set(err, T3D_USAGE, "usage", "--token-file '%s' cannot be read", path);
    for (n = 0; n < b.size && b.data[n] > ' '; n++)
        token[n] = (char)b.data[n];
    token[n] = 0;
    t3d_blob_close(&b);
    return n ? T3D_OK : t3d_err_set(err, T3D_USAGE, "usage", "--token-file '%s' is empty", path);
}

/* "host:port" of an address. */
static void host_of(const char *url, char host[256])
{
    const char *s = strstr(url, "://");

    s = s ? s + 3 : url;
    snprintf(host, 256, "%.*s", (int)strcspn(s, "/?#"), s);
}

static int list_weights(const struct conf *c, struct t3d_err *err)
{
    size_t n;
    const struct t3d_weights *w = t3d_weights_all(&n);
    int r = T3D_OK;

    for (size_t i = 0; i < n && r == T3D_OK; i++) {
        struct t3d_weights_file f[T3D_WEIGHTS_FILES];
        size_t files = t3d_weights_files(&w[i], c->base_url, c->revision, f);

        if (c->json) {
            cJSON *o = t3d_weights_record(&w[i], c->base_url, c->revision);

            r = t3d_emit(o, err);
            cJSON_Delete(o);
            continue;
        }
        printf("%-22s about %u MB  %s  %s\n", w[i].name, w[i].about_mb, w[i].license, w[i].about);
        for (size_t k = 0; k < files; k++)
            printf("    %s  sha256 %s%s%s%s\n", f[k].url, f[k].sha256 ? f[k].sha256 : "unknown",
                   f[k].sha256 && strlen(f[k].sha256) < 64 ? "..." : "",
                   f[k].optional ? "  (if there)" : "", f[k].otherwise ? "  (or the next)" : "");
    }
    return r;
}

static int fetch_one(const struct conf *c, const char *name, const char *token, struct t3d_err *err)
{
    struct t3d_weights_where where = {.workspace = c->common.workspace,
                                      .base_url = c->base_url,
                                      .revision = c->revision,
                                      .progress = c->common.progress,
                                      .redo = c->common.redo,
                                      .http = {.allow_net = c->allow_net.item,
                                               .n_allow_net = c->allow_net.n,
                                               .seed = c->common.seed}};
    struct t3d_weights_file f[T3D_WEIGHTS_FILES];
    struct t3d_weights_done done;
    char near[64], host[256];
    const struct t3d_weights *w = t3d_weights_find(name, near);
    int r;

    if (!w)
        return t3d_err_set(err, T3D_USAGE, "usage",
                           "no weights are called '%s'%s%s%s: --list shows the catalogue", name,
                           *near ? " (did you mean '" : "", near, *near ? "'?)" : "");
    t3d_weights_files(w, c->base_url, c->revision, f);
    host_of(f[0].url, host);
    where.http.token = token;
    where.http.token_host = token ? host : NULL;
    if (c->common.dry_run) {
        t3d_info("dry run: %s: about %u MB from %s (%s)", w->name, w->about_mb, host, w->license);
        return T3D_OK;
    }
    r = t3d_weights_fetch(w, &where, &done, err);
    if (r == T3D_OK)
        t3d_info("%s: %zu files, %.1f MB, %s; licence %s", w->name, done.files,
                 (double)done.bytes / 1e6, done.was_there ? "are there already" : "fetched",
                 w->license);
    return r;
}

static int check_urls(const struct conf *c, struct t3d_err *err)
{
    if (c->common.use_stdin == (c->common.operands.n > 0) || c->common.operands.n > 1)
        return t3d_err_set(err, T3D_USAGE, "usage", "name one list of addresses, or -");
    if (c->transfers < 1 || c->transfers > 1024 || c->per_host < 1 || c->per_host > 1024)
        return t3d_err_set(err, T3D_USAGE, "usage", "--transfers and --per-host take 1 to 1024");
    if (c->attempts < 1 || c->attempts > 100)
        return t3d_err_set(err, T3D_USAGE, "usage", "--attempts takes 1 to 100");
    if (c->timeout < 1 || c->backoff <= 0 || c->max_wait <= 0 || c->max_size < 1)
        return t3d_err_set(err, T3D_USAGE, "usage",
                           "--timeout takes 1 or more, --backoff, --max-wait and --max-size more "
                           "than 0");
    return T3D_OK;
}

static int run_urls(void *conf, struct t3d_err *err)
{
    const struct conf *c = conf;
    char token[MAX_TOKEN] = "";
    struct t3d_fetch f = {.common = &c->common, .names = names};
    struct t3d_fetch_urls urls = {
        .list = c->common.use_stdin || !c->common.operands.n ? "-" : c->common.operands.item[0],
        .captions = c->captions,
        .license = c->license,
        .dataset = c->dataset,
        .licenses = &c->licenses,
        .max_bytes = c->max_size,
        .retry = c->retry ? c->retry : "",
        .http = {.allow_net = c->allow_net.item,
                 .n_allow_net = c->allow_net.n,
                 .token_host = c->token_host,
                 .transfers = (unsigned)c->transfers,
                 .per_host = (unsigned)c->per_host,
                 .attempts = (unsigned)c->attempts,
                 .slow_s = c->timeout,
                 .backoff_s = c->backoff,
                 .max_wait_s = c->max_wait,
                 .seed = c->common.seed}};
    int r = check_urls(c, err);

    if (r == T3D_OK && c->token_file)
        r = read_token(c->token_file, token, err);
    if (r < 0)
        return r;
    urls.http.token = *token ? token : NULL;
    return t3d_fetch_close(&f, t3d_fetch_urls(&f, &urls, err));
}

static int run_weights(void *conf, struct t3d_err *err)
{
    const struct conf *c = conf;
    char token[MAX_TOKEN] = "";
    int r = T3D_OK;

    if (c->list)
        return list_weights(c, err);
    if (!c->common.operands.n)
        return t3d_err_set(err, T3D_USAGE, "usage", "name the weights: --list shows them");
    if (c->token_file)
        r = read_token(c->token_file, token, err);
    for (size_t i = 0; i < c->common.operands.n && r == T3D_OK; i++)
        r = fetch_one(c, c->common.operands.item[i], *token ? token : NULL, err);
    return r;
}

static const struct t3d_command local = {.name = "local",
                                         .operands = "PATH...",
                                         .summary = "take 3D files from files and folders",
                                         .opts = local_opts,
                                         .conf_size = sizeof(struct conf),
                                         .run = run_local};

static const struct t3d_command primitives = {.name = "primitives",
                                              .summary =
                                                  "make captioned objects of the built-in world",
                                              .opts = primitives_opts,
                                              .conf_size = sizeof(struct conf),
                                              .run = run_primitives};

static const struct t3d_command weights = {.name = "weights",
                                           .operands = "[NAME...]",
                                           .summary = "get the weights of a network",
                                           .opts = weights_opts,
                                           .conf_size = sizeof(struct conf),
                                           .run = run_weights};

static const struct t3d_command urls = {.name = "urls",
                                        .operands = "[-] [LIST]",
                                        .summary = "take 3D files from a list of addresses",
                                        .opts = urls_opts,
                                        .conf_size = sizeof(struct conf),
                                        .run = run_urls};

static const struct t3d_command *const commands[] = {&local, &urls, &primitives, &weights, NULL};

static const struct t3d_tool tool = {
    .name = "fetch",
    .summary = "put 3D objects into a workspace",
    .about =
        "Objects are copied into the workspace's content store and entered in its manifest, "
        "numbered in the "
        "bytewise order of their paths. A second run looks only at what has changed; an "
        "interrupted one "
        "goes on where it ended.\n\n"
        "local takes .glb, .gltf, .obj, .ply, .stl and .off. Below folders other files and "
        "hidden names are "
        "passed over and counted. The .bin, .mtl and pictures that a file names are copied "
        "with it; they "
        "have to lie in its folder or below. A missing picture is a measure of filter, a "
        "missing .bin makes "
        "the object fail with missing-file. Of a .gltf fetch reads the JSON, since the names "
        "are there, and "
        "a broken one fails here; whatever else is wrong with a file is for filter to say.\n\n"
        "The uid of an object is the one that --captions gives to its path or sha256, else "
        "the first 32 "
        "hexadecimal digits of its content hash. The same content at a second path is one "
        "object with two "
        "sources; a second given uid for it is rejected as duplicate-of UID. A changed file "
        "is a new object, "
        "and the old one is marked modified.\n\n"
        "primitives makes objects from the seed: the same world, seed and index give the same "
        "file.\n\n"
        "weights puts the files of a network into models/NAME of the workspace, where t3d embed "
        "finds them. They are checked against the SHA-256 of the catalogue where it is known for "
        "certain, else against the one that the server gives; source.json beside them says which. "
        "An interrupted run goes on where it was.",
    .commands = commands,
    .before = before};

int main(int argc, char **argv)
{
    int r = t3d_tool_main(&tool, argc, argv);

    t3d_importer_close(importer);
    return r;
}
