/* SPDX-License-Identifier: Apache-2.0 */
/* t3d-evaluate: predictions beside references, and one report of it beside another. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "evaluate/evaluate.h"

enum { MAX_POINTS = 10 * 1000 * 1000 };

static const struct t3d_opt opts[] = {
    {0, "pred", T3D_OPT_STRING, offsetof(struct evaluate_conf, pred), "PATH", NULL, NULL,
     "predictions: a mesh, point cloud or picture, or a folder of them"},
    {0, "ref", T3D_OPT_STRING, offsetof(struct evaluate_conf, ref), "PATH", NULL, NULL,
     "references, matched with the predictions by name"},
    {0, "checkpoint", T3D_OPT_STRING, offsetof(struct evaluate_conf, checkpoint), "NAME-or-DIR",
     NULL, NULL,
     "a generator, in place of --pred and --ref: a model's name, or the folder of a run"},
    {0, "text-encoder", T3D_OPT_WORDS, offsetof(struct evaluate_conf, text_encoder), "LIST", NULL,
     NULL,
     "of the checkpoint: where the networks are that it takes its text from; else by their names"},
    {0, "split", T3D_OPT_STRING, offsetof(struct evaluate_conf, split), "NAME", "test",
     "train val test all", "the workspace's objects that a checkpoint is measured on"},
    {0, "count", T3D_OPT_U64, offsetof(struct evaluate_conf, count), "N", NULL, NULL,
     "only the first N objects of the split"},
    {0, "num-diffusion-steps", T3D_OPT_U64, offsetof(struct evaluate_conf, steps), "N", "4", NULL,
     "of the checkpoint: steps from noise to object"},
    {0, "guidance", T3D_OPT_DOUBLE, offsetof(struct evaluate_conf, guidance), "X", "2", NULL,
     "of the checkpoint: how strongly the text is followed; 1 = as it comes"},
    {0, "device", T3D_OPT_STRING, offsetof(struct evaluate_conf, device), "NAME", "cpu", NULL,
     "what computes the checkpoint: cpu, cuda:0"},
    {0, "price-per-hour", T3D_OPT_DOUBLE, offsetof(struct evaluate_conf, price), "X", NULL, NULL,
     "of the machine, in any currency: adds cost:price, of an object"},
    {0, "metrics", T3D_OPT_WORDS, offsetof(struct evaluate_conf, metrics), "LIST", "all", NULL,
     "families, as chamfer or ssim; single dialects, as chamfer:cd-sum; or all"},
    {0, "normalize", T3D_OPT_STRING, offsetof(struct evaluate_conf, normalize), "NAME", "ref-bbox1",
     t3d_frame_names, "the frame in which shapes are compared"},
    {0, "points", T3D_OPT_U64, offsetof(struct evaluate_conf, points), "N", "100000", NULL,
     "points taken from each mesh"},
    {0, "emd-points", T3D_OPT_U64, offsetof(struct evaluate_conf, emd_points), "N", "2048", NULL,
     "of these, the first N are matched for emd; all, where there are fewer"},
    {0, "emd-floor", T3D_OPT_BOOL, offsetof(struct evaluate_conf, emd_floor), NULL, "yes", NULL,
     "measure the noise floor of emd as well, which takes as long again"},
    {0, "resolution", T3D_OPT_U64, offsetof(struct evaluate_conf, resolution), "R", "512", NULL,
     "size of the 20 views of meshes that psnr and ssim compare"},
    {0, "captions", T3D_OPT_STRING, offsetof(struct evaluate_conf, captions), "FILE", NULL, NULL,
     "captions of the items, by their names: CSV, JSON or NDJSON; the first of each is its prompt"},
    {0, "clip", T3D_OPT_STRING, offsetof(struct evaluate_conf, clip), "NAME", "clip-nano", NULL,
     "the CLIP of clip-score and the like: a model's name or folder; it is part of their names"},
    {0, "pool", T3D_OPT_STRING, offsetof(struct evaluate_conf, pool), "FILE", NULL, NULL,
     "texts among which r-precision looks for the caption, besides the captions of all items"},
    {0, "lpips", T3D_OPT_STRING, offsetof(struct evaluate_conf, lpips), "DIR", NULL, NULL,
     "weights of VGG-16, AlexNet or SqueezeNet with LPIPS's heads, in place of lpips-vgg and "
     "the like among the models"},
    {0, "compare", T3D_OPT_FILES, offsetof(struct evaluate_conf, compare), "A.json B.json", NULL,
     NULL, "two reports: paired differences of B against A, in place of an evaluation"},
    {0, "benchmark", T3D_OPT_STRING, offsetof(struct evaluate_conf, benchmark), "NAME", NULL,
     "t3bench", "t3bench: the same as t3d bench t3bench, with its options"},
    {'o', "output", T3D_OPT_STRING, offsetof(struct evaluate_conf, output), "FILE", NULL, NULL,
     "the report as JSON; else results.json here, for --compare stdout"},
    {0}};

static struct t3d_importer *importer;
static int importer_threads;
static char *command_line;

/* What is compared: files, or a checkpoint with a split. */
static int check_inputs(const struct evaluate_conf *c, struct t3d_err *err)
{
    static const char *const of_checkpoint[] = {"split",       "count",  "num-diffusion-steps",
                                                "guidance",    "device", "price-per-hour",
                                                "text-encoder"};

    if (!c->checkpoint && (!c->pred || !c->ref))
        return t3d_err_set(err, T3D_USAGE, "usage",
                           "name what to compare: --pred PATH --ref PATH, --checkpoint "
                           "NAME-or-DIR, or --compare A.json B.json");
    if (c->checkpoint && (c->pred || c->ref || c->captions))
        return t3d_err_set(err, T3D_USAGE, "usage",
                           "--checkpoint takes the workspace's objects and their captions: leave "
                           "--pred, --ref and --captions out");
    for (size_t i = 0; i < T3D_COUNT(of_checkpoint) && !c->checkpoint; i++)
        if (t3d_opt_given(&c->common, of_checkpoint[i]))
            return t3d_err_set(err, T3D_USAGE, "usage", "--%s is for --checkpoint",
                               of_checkpoint[i]);
    if (c->steps < 1 || c->steps > 1000 || !(c->guidance > 0) || c->guidance > 100)
        return t3d_err_set(err, T3D_USAGE, "usage",
                           "--num-diffusion-steps is 1 to 1000, --guidance above 0 up to 100");
    if (t3d_opt_given(&c->common, "price-per-hour") && !(c->price >= 0))
        return t3d_err_set(err, T3D_USAGE, "usage", "--price-per-hour is 0 or more");
    if (t3d_opt_given(&c->common, "count") && c->count < 1)
        return t3d_err_set(err, T3D_USAGE, "usage", "--count is 1 or more");
    return T3D_OK;
}

static int setup(struct evaluate_run *x, struct t3d_err *err)
{
    const struct evaluate_conf *c = x->conf;
    struct t3d_pair_options *o = &x->options;
    int r;

    r = check_inputs(c, err);
    if (r < 0)
        return r;
    if (c->points < 1 || c->points > MAX_POINTS)
        return t3d_err_set(err, T3D_USAGE, "usage", "--points is 1 to %d", MAX_POINTS);
    if (c->emd_points < 1 || c->emd_points > T3D_MAX_EMD_POINTS || c->emd_points > c->points)
        return t3d_err_set(err, T3D_USAGE, "usage", "--emd-points is 1 to %u and at most --points",
                           T3D_MAX_EMD_POINTS);
    if (c->resolution < 16 || c->resolution > 4096)
        return t3d_err_set(err, T3D_USAGE, "usage", "--resolution is 16 to 4096");
    r = t3d_metrics_choose(&o->choice, c->metrics.item, c->metrics.n, err);
    o->frame = (enum t3d_frame_kind)t3d_frame_find(c->normalize);
    o->frame_name = c->normalize;
    o->n_points = (uint32_t)c->points;
    o->n_emd_points = (uint32_t)c->emd_points;
    o->emd_floor = c->emd_floor;
    o->resolution = (uint32_t)c->resolution;
    o->seed = c->common.seed;
    x->output = c->output ? c->output : "results.json";
    if (r == T3D_OK)
        r = c->checkpoint ? evaluate_made_find(x, err)
                          : t3d_match(&x->matches, c->pred, c->ref, &x->arena, err);
    if (r < 0)
        return r;
    /* Few pairs: threads share the work of one. */
    x->threads = (int)T3D_MIN((size_t)importer_threads, x->matches.n);
    o->threads = importer_threads / T3D_MAX(x->threads, 1);
    return T3D_OK;
}

static int evaluate(struct evaluate_run *x, struct t3d_err *err)
{
    int r = x->made ? evaluate_make(x, err) : T3D_OK;

    if (t3d_stop_requested())
        return r < 0 ? r : t3d_stop_requested();
    if (r == T3D_OK)
        r = evaluate_networks(x, err);
    if (r == T3D_OK)
        r = evaluate_begin(x, err);
    if (r == T3D_OK)
        r = evaluate_items(x, err);
    return r == T3D_OK ? evaluate_finish(x, err) : r;
}

static int run(void *conf, struct t3d_err *err)
{
    struct evaluate_conf *c = conf;
    struct evaluate_run x = {.conf = c, .command_line = command_line, .importer = importer};
    int r;

    if (!t3d_opt_given(&c->common, "emd-points"))
        c->emd_points = T3D_MIN(c->emd_points, c->points);
    if (x.conf->compare.n) {
        r = evaluate_compare(conf, err);
    } else {
        r = setup(&x, err);
        if (r == T3D_OK && x.conf->common.dry_run)
            t3d_info("%zu items to compare", x.matches.n);
        else if (r == T3D_OK)
            r = evaluate(&x, err);
    }
    t3d_report_free(x.report);
    evaluate_networks_free(&x);
    cJSON_Delete(x.before);
    t3d_arena_free(&x.arena);
    t3d_importer_close(importer);
    free(command_line);
    return r;
}

static const struct t3d_command command = {
    .summary = "measure generated objects or pictures beside references",
    .opts = opts,
    .conf_size = sizeof(struct evaluate_conf),
    .run = run};

static const struct t3d_command *const commands[] = {&command, NULL};

static int before(int threads, struct t3d_err *err)
{
    importer_threads = threads;
    return t3d_importer_open(&importer, threads, NULL, err);
}

static const struct t3d_tool tool = {
    .name = "evaluate",
    .summary = "measure generated objects or pictures beside references",
    .about =
        "Two files, or two folders whose files are matched by their names without endings. Meshes "
        "are sampled (--points), point clouds (.ply without faces, .npy of shape (n, 3)) are used "
        "as given, pictures go over white. Where a folder has 3D files its pictures are textures "
        "and no items.\n\n"
        "Every number stands under its full name: family, dialect, frame, points, as in "
        "chamfer:cd-l1:ref-bbox1:n100000. The report has a row for each item, ok, fail or missing "
        "with the reason, and a summary: mean, 95 % interval (bootstrap over items), n, failed, "
        "the noise floor of a perfect prediction where it is known, and the target of that one "
        "name that has one. With failed items the exit status is 3.\n\n"
        "lpips, clip-score, r-precision and view-consistency:opposite need networks: what `t3d "
        "fetch weights` puts into the workspace's models, and clip-nano, which is there. A "
        "metric whose weights or captions are missing is n/a and says what gets them. One whose "
        "weights are there and wrong fails in every row, which says why; the others are "
        "measured, and with mended weights the next run adds it.\n\n"
        "--checkpoint measures a generator: it makes an object of the first caption of each object "
        "of the split, into OUTPUT.generated/UID.ply, and compares it with the object itself, "
        "which stands where `t3d render` puts it. Beside the other families the report has what "
        "that cost: seconds, memory, objects a minute. An object without a caption is a row with "
        "that reason.\n\n"
        "The same command again takes from the report what is there of unchanged files and "
        "settings; --redo measures anew.\n\n"
        "--compare tests two reports over the items that both have: difference, interval, "
        "sign-flip permutation test (Holm over the metrics) and effect size. Reports with other "
        "metric names are refused.",
    .commands = commands,
    .before = before};

/* `t3d evaluate --benchmark t3bench ...` is `t3d bench t3bench ...`: that program takes over, which
 * lies beside this one. Returns when there is no such option, or another name. */
static void open_other_door(int argc, char **argv)
{
    char path[PATH_MAX], name[] = "t3d-bench", word[] = "t3bench";
    char **words = calloc((size_t)argc + 3, sizeof *words);
    ssize_t n = readlink("/proc/self/exe", path, sizeof path - sizeof name);
    int count = 0, found = 0;

    if (!words)
        return;
    words[count++] = name;
    words[count++] = word;
    for (int i = 1; i < argc; i++) {
        if (!found && strcmp(argv[i], "--benchmark=t3bench") == 0)
            found = 1;
        else if (!found && i + 1 < argc && strcmp(argv[i], "--benchmark") == 0 &&
                 strcmp(argv[i + 1], word) == 0)
            found = i++ > 0;
        else
            words[count++] = argv[i];
    }
    while (n > 0 && path[n - 1] != '/')
        n--;
    if (found && n > 0) {
        memcpy(path + n, name, sizeof name);
        execv(path, words);
        fprintf(stderr, "t3d evaluate: cannot run %s: %s\n", path, strerror(errno));
        exit(T3D_EXIT_FAILED);
    }
    free(words);
}

int main(int argc, char **argv)
{
    size_t size = 0;
    FILE *f = open_memstream(&command_line, &size);

    open_other_door(argc, argv);

    for (int i = 0; f && i < argc; i++)
        fprintf(f, "%s%s", i ? " " : "", i ? argv[i] : "t3d evaluate");
    if (f)
        fclose(f);
    return t3d_tool_main(&tool, argc, argv);
}
