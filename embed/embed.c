/* SPDX-License-Identifier: Apache-2.0 */
/* t3d-embed: captions and pictures to rows of a frozen network: of the workspace's objects as a
 * stage, or of lists and files that are named. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/openmp.h"
#include "base/tool.h"
#include "net/embed_list.h"
#include "net/embed_rows.h"
#include "net/embed_stage.h"
#include "store/model_find.h"
#include "store/renders.h"

enum { MAX_WARNINGS = 10 }; /* the rest is in --rejects */

struct conf {
    struct t3d_common common;
    const char *model, *captions, *output, *view_set, *light, *precision, *background, *recipe,
        *device;
    uint64_t resolution, batch;
    struct t3d_list images, inputs;
    int tokens, explain;
};

static const struct t3d_opt opts[] = {
    {'m', "model", T3D_OPT_STRING, offsetof(struct conf, model), "NAME-or-DIR", "clip-nano", NULL,
     "the network: a name such as clip-vit-b32, or a folder saved by transformers or open_clip"},
    {0, "captions", T3D_OPT_STRING, offsetof(struct conf, captions), "FILE", NULL, NULL,
     "a list of captions in place of the workspace's: .txt, .csv, .json or NDJSON"},
    {0, "images", T3D_OPT_FILES, offsetof(struct conf, images), "FILE", NULL, NULL,
     "pictures in place of the workspace's: PNG, JPEG or WebP"},
    {'o', "output", T3D_OPT_STRING, offsetof(struct conf, output), "DIR-or-.npy", NULL, NULL,
     "where the rows go; else embeddings/<model> in the workspace"},
    {0, "tokens", T3D_OPT_BOOL, offsetof(struct conf, tokens), NULL, "no", NULL,
     "also the features of every token: tokens.npy, for train; where they are they are kept up"},
    {0, "inputs", T3D_OPT_WORDS, offsetof(struct conf, inputs), "LIST", NULL, "texts views",
     "what of each object; else all that the model takes"},
    {0, "view-set", T3D_OPT_STRING, offsetof(struct conf, view_set), "NAME", NULL, NULL,
     "which renders, where there are several"},
    {0, "resolution", T3D_OPT_U64, offsetof(struct conf, resolution), "R", NULL, NULL,
     "likewise by the size of their pictures"},
    {0, "light", T3D_OPT_STRING, offsetof(struct conf, light), "NAME", NULL, NULL,
     "likewise by their light"},
    {0, "background", T3D_OPT_STRING, offsetof(struct conf, background), "RRGGBB", "ffffff", NULL,
     "the colour that transparent pictures are put over"},
    {0, "recipe", T3D_OPT_STRING, offsetof(struct conf, recipe), "NAME", NULL, NULL,
     "preprocessing of pictures; else that of the library that saved the model"},
    {0, "precision", T3D_OPT_STRING, offsetof(struct conf, precision), "TYPE", "f32", "f32 f16",
     "how rows are stored; computed they are in float32"},
    {0, "batch", T3D_OPT_U64, offsetof(struct conf, batch), "N", "0", NULL,
     "pictures or texts a run of the network; 0 chooses, rows do not depend on it"},
    {0, "device", T3D_OPT_STRING, offsetof(struct conf, device), "NAME", "cpu", NULL,
     "where the network runs: cpu, cuda:0"},
    {0, "explain", T3D_OPT_BOOL, offsetof(struct conf, explain), NULL, "no", NULL,
     "print what the model's folder says, and the tokens of TEXT"},
    {0}};

struct embed {
    const struct conf *conf;
    const char *model; /* its name */
    uint8_t background[3];
    struct t3d_encoder *encoder;
    const struct t3d_encoder_info *info;
    cJSON *about;
    struct t3d_arena arena; /* of the run */
};

/* --- the workspace
 * ---------------------------------------------------------------------------------- */

static int wanted(const struct conf *c, const char *word)
{
    for (size_t i = 0; i < c->inputs.n; i++)
        if (strcmp(c->inputs.item[i], word) == 0)
            return 1;
    return c->inputs.n == 0;
}

/* Token features that are there are kept up with the captions, unless --no-tokens was given. */
static int want_tokens(struct embed *x, const struct t3d_embed_stage *s)
{
    char *there = t3d_path_join(&x->arena, s->dir, "tokens.npy");

    if (!s->texts || t3d_opt_given(&x->conf->common, "tokens"))
        return x->conf->tokens;
    return there && access(there, F_OK) == 0;
}

static int choose_inputs(struct embed *x, struct t3d_embed_stage *s, struct t3d_err *err)
{
    const struct conf *c = x->conf;
    struct t3d_renders_wish wish = {c->view_set, c->light, c->resolution};

    s->texts = wanted(c, "texts") && x->info->max_tokens;
    s->views = wanted(c, "views") && x->info->image_size;
    if (!s->texts && !s->views)
        return t3d_err_set(err, T3D_USAGE, "usage", "model '%s' takes none of --inputs", x->model);
    if (c->tokens && !s->texts)
        return t3d_err_set(err, T3D_USAGE, "usage",
                           "--tokens: there are no texts, or model '%s' takes none", x->model);
    s->tokens = want_tokens(x, s);
    if (!s->views)
        return T3D_OK;
    return t3d_renders_choose(&s->renders, &s->renders_dir, c->common.workspace, &wish, &x->arena,
                              err);
}

static int embed_workspace(struct embed *x, struct t3d_err *err)
{
    const struct conf *c = x->conf;
    struct t3d_embed_stage s = {.model = x->model,
                                .output = c->output,
                                .half = strcmp(c->precision, "f16") == 0,
                                .batch = c->batch};
    struct t3d_stage_summary summary = {0};
    struct t3d_manifest *m;
    int r = t3d_manifest_open(&m, c->common.workspace, 0, err);

    if (r < 0)
        return r;
    s.dir = c->output ? c->output
                      : t3d_sprintf(&x->arena, "%s/embeddings/%s", c->common.workspace, x->model);
    r = s.dir ? choose_inputs(x, &s, err) : t3d_err_nomem(err, "a path");
    if (r == T3D_OK) {
        x->about = t3d_embed_about(x->encoder, x->model, x->background, s.renders, s.half);
        s.about = x->about;
        r = s.about ? t3d_embed_stage_run(x->encoder, &s, m, &c->common, &summary, err)
                    : t3d_err_nomem(err, "the set-up");
    }
    t3d_manifest_close(m);
    return r == T3D_OK ? t3d_stage_exit(&summary) : r;
}

/* --- lists
 * ------------------------------------------------------------------------------------------ */

static int warned;

static void note(const char *name, const struct t3d_err *why)
{
    if (warned++ < MAX_WARNINGS)
        t3d_warn("%s: %s", name, why->msg);
    else if (warned == MAX_WARNINGS + 1)
        t3d_warn("--rejects shows the other entries that failed");
}

static int embed_list(struct embed *x, const struct t3d_embed_list *what, struct t3d_err *err)
{
    struct t3d_embed_list_summary s;
    int r = t3d_embed_list_run(x->encoder, what, &s, note, err);

    if (r < 0)
        return r;
    if (s.replaces)
        t3d_info("the rows in %s are %s: they are made anew", what->output, s.replaces);
    if (s.truncated)
        t3d_warn("%llu captions are longer than %d tokens and were cut",
                 (unsigned long long)s.truncated, x->info->max_tokens);
    t3d_info("%llu rows: %llu made, %llu were there, %llu failed%s", (unsigned long long)s.rows,
             (unsigned long long)s.done, (unsigned long long)s.skipped,
             (unsigned long long)s.failed,
             s.stop ? "; stopped by a signal: run the same command again to go on" : "");
    return s.stop ? s.stop : s.failed ? T3D_EXIT_PARTIAL : T3D_EXIT_OK;
}

static int embed_lists(struct embed *x, struct t3d_err *err)
{
    const struct conf *c = x->conf;
    int half = strcmp(c->precision, "f16") == 0, code = T3D_EXIT_OK, r = T3D_OK;
    struct t3d_embed_list l = {.output = c->output,
                               .half = half,
                               .redo = c->common.redo,
                               .threads = (int)c->common.threads,
                               .batch = c->batch,
                               .progress = c->common.progress,
                               .rejects = c->common.rejects};

    x->about = t3d_embed_about(x->encoder, x->model, x->background, NULL, half);
    l.about = x->about;
    if (!x->about)
        return t3d_err_nomem(err, "the set-up");
    if (c->captions) {
        struct t3d_embed_list texts = l;
        texts.captions = c->captions;
        texts.tokens = c->tokens;
        code = r = embed_list(x, &texts, err);
    }
    if (c->images.n && (r == T3D_OK || r == T3D_EXIT_PARTIAL)) {
        l.images = c->images.item;
        l.n_images = c->images.n;
        r = embed_list(x, &l, err);
        code = T3D_MAX(code, r);
    }
    return r < 0 ? r : code;
}

/* --- set-up
 * ----------------------------------------------------------------------------------------- */

static int check_lists(const struct embed *x, struct t3d_err *err)
{
    const struct conf *c = x->conf;

    if (!c->output)
        return t3d_err_set(err, T3D_USAGE, "usage",
                           "--captions and --images need --output DIR or FILE.npy");
    if (c->captions && c->images.n && strcmp(t3d_path_ending(c->output), "npy") == 0)
        return t3d_err_set(err, T3D_USAGE, "usage",
                           "--captions and --images together go to a folder, not to one .npy");
    if (c->captions && !x->info->max_tokens)
        return t3d_err_set(err, T3D_USAGE, "usage",
                           "model '%s' takes no texts: it has no text tower, or no tokenizer",
                           x->model);
    if (c->images.n && !x->info->image_size)
        return t3d_err_set(err, T3D_USAGE, "usage", "model '%s' takes no pictures", x->model);
    if (c->tokens && !c->captions)
        return t3d_err_set(err, T3D_USAGE, "usage", "--tokens is for captions");
    if (c->common.shard_count > 1 || c->common.use_stdin || c->common.dry_run)
        return t3d_err_set(err, T3D_USAGE, "usage",
                           "--shard, --dry-run and - are for the objects of a workspace");
    return T3D_OK;
}

static int open_model(struct embed *x, struct t3d_err *err)
{
    const struct conf *c = x->conf;
    struct t3d_encoder_options o = {.threads = (int)c->common.threads,
                                    .device = c->device,
                                    .recipe = c->recipe,
                                    .batch = (int)T3D_MIN(c->batch, 1u << 16)};
    char *dir;
    int r;

    if (strlen(c->background) != 6 || t3d_unhex(c->background, 3, x->background) < 0)
        return t3d_err_set(err, T3D_USAGE, "usage",
                           "--background %.40s is not a colour such as ffffff", c->background);
    memcpy(o.background, x->background, 3);
    x->model = t3d_model_name(c->model, &x->arena);
    if (!x->model)
        return t3d_err_set(err, T3D_USAGE, "usage",
                           "--model %.140s: the folder's name is not one for a folder of rows",
                           c->model);
    r = t3d_model_find(&dir, c->common.workspace, c->model, &x->arena, err);
    if (r == T3D_OK)
        r = t3d_encoder_open(&x->encoder, dir, &o, err);
    if (r < 0)
        return r;
    x->info = t3d_encoder_info(x->encoder);
    return T3D_OK;
}

static int explain(const struct embed *x)
{
    const struct t3d_list *words = &x->conf->common.operands;

    t3d_encoder_explain(x->encoder, words->n ? words->item[0] : NULL, stdout);
    return T3D_OK;
}

static int run(void *conf, struct t3d_err *err)
{
    const struct conf *c = conf;
    struct embed x = {.conf = c};
    int lists = c->captions || c->images.n, r = T3D_OK;

    if (c->common.operands.n && !c->explain)
        r = t3d_err_set(err, T3D_USAGE, "usage",
                        "'%.140s': a text goes with --explain; a list of them with --captions FILE",
                        c->common.operands.item[0]);
    if (r == T3D_OK)
        r = open_model(&x, err);
    if (r == T3D_OK && lists)
        r = check_lists(&x, err);
    if (r == T3D_OK)
        r = c->explain ? explain(&x) : lists ? embed_lists(&x, err) : embed_workspace(&x, err);
    cJSON_Delete(x.about);
    t3d_encoder_free(x.encoder);
    t3d_arena_free(&x.arena);
    return r;
}

static const struct t3d_command command = {
    .operands = "[-] [TEXT]",
    .summary = "turn captions and pictures into rows of a frozen network",
    .opts = opts,
    .conf_size = sizeof(struct conf),
    .run = run};

static const struct t3d_command *const commands[] = {&command, NULL};

static const struct t3d_tool tool = {
    .name = "embed",
    .summary = "turn captions and pictures into rows of a frozen network",
    .about =
        "Every captioned and rendered object of the workspace gets rows of length 1 in "
        "embeddings/<model>: one a caption (texts.npy), one a view (views.npy), and the mean over "
        "the views, at length 1 again (objects.npy). Beside each .npy an .ndjson says line by line "
        "whose row it is. With --captions or --images rows are made of lists and files instead, "
        "without a workspace: one per entry, in order; an entry that cannot be used has a row of "
        "NaN and the reason.\n\n"
        "Only what has changed is made anew. Rows do not depend on threads or batches.",
    .commands = commands};

int main(int argc, char **argv)
{
    t3d_openmp_share(argv);
    return t3d_tool_main(&tool, argc, argv);
}
