/* SPDX-License-Identifier: Apache-2.0 */
#include "metric/dialect.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/opt.h"
#include "metric/distance.h"
#include "metric/picture.h"
#include "net/lpips.h"

#define PI 3.14159265358979323846

/* What a row of the table computes. */
enum what {
    CD_L1,
    CD_SUM,
    CD_SQ_SUM,
    CD_SQ_HALF,
    CD_L1_X10,
    CD_L1_X1E3,
    CD_SQ_SUM_X1E3,
    ACCURACY,
    COMPLETENESS,
    F_SCORE, /* + index of the threshold */
    F_SCORE_END = F_SCORE + T3D_N_TAUS,
    F_STRICT, /* + index of the threshold, d < tau, in percent */
    F_STRICT_END = F_STRICT + T3D_N_TAUS,
    F_AUC,
    PRECISION,
    RECALL,
    HAUSDORFF,
    HD95,
    NORMAL_ABS,
    NORMAL_SIGNED,
    NORMAL_LOSS,
    OTHER
};

#define T3D_TARGET_CLIP ":clip-vit-b32" /* the model for which the target was set */

#define POINTS(family, name, better, on, what)                                                     \
    {                                                                                              \
        family, name, T3D_METRIC_POINTS, better, on, NAN, NULL, what                               \
    }

#define SURFACE(family, name, better, on, what)                                                    \
    {                                                                                              \
        family, name, T3D_METRIC_SURFACE, better, on, NAN, NULL, what                              \
    }
#define PICTURE(family, name, on, target, text, what)                                              \
    {                                                                                              \
        family, name, T3D_METRIC_PICTURE, T3D_HIGHER, on, target, text, what                       \
    }

#define LPIPS(name, on, what)                                                                      \
    {                                                                                              \
        "lpips", name, T3D_METRIC_LPIPS, T3D_LOWER, on, NAN, NULL, what                            \
    }
#define VIEWS(family, name, kind, better, on, what)                                                \
    {                                                                                              \
        family, name, kind, better, on, NAN, NULL, what                                            \
    }

const struct t3d_metric t3d_metrics[] = {
    POINTS("chamfer", "cd-l1", T3D_LOWER, 1, CD_L1),
    {"chamfer", "cd-sq-sum", T3D_METRIC_POINTS, T3D_LOWER, 1, .002, "< 0.002", CD_SQ_SUM},
    POINTS("chamfer", "cd-sum", T3D_LOWER, 0, CD_SUM),
    POINTS("chamfer", "cd-sq-half", T3D_LOWER, 0, CD_SQ_HALF),
    POINTS("chamfer", "occnet-x10", T3D_LOWER, 0, CD_L1_X10),
    POINTS("chamfer", "pcn-l1-x1e3", T3D_LOWER, 0, CD_L1_X1E3),
    POINTS("chamfer", "pcn-l2-x1e3", T3D_LOWER, 0, CD_SQ_SUM_X1E3),
    POINTS("chamfer", "accuracy", T3D_LOWER, 1, ACCURACY),
    POINTS("chamfer", "completeness", T3D_LOWER, 1, COMPLETENESS),
    {"chamfer", "cd-true-l1", T3D_METRIC_MANHATTAN, T3D_LOWER, 0, NAN, NULL, OTHER},
    {"chamfer", "centres-l1", T3D_METRIC_CENTRES, T3D_LOWER, 1, NAN, NULL, CD_L1},
    {"chamfer", "centres-sq-sum", T3D_METRIC_CENTRES, T3D_LOWER, 0, NAN, NULL, CD_SQ_SUM},
    SURFACE("chamfer", "surface-l1", T3D_LOWER, 1, CD_L1),
    SURFACE("chamfer", "surface-sum", T3D_LOWER, 0, CD_SUM),
    SURFACE("chamfer", "surface-sq-sum", T3D_LOWER, 0, CD_SQ_SUM),
    {"f-score", "1pct", T3D_METRIC_POINTS, T3D_HIGHER, 1, .90, "> 0.90", F_SCORE + 1},
    POINTS("f-score", "0.5pct", T3D_HIGHER, 1, F_SCORE),
    POINTS("f-score", "2pct", T3D_HIGHER, 1, F_SCORE + 2),
    POINTS("f-score", "5pct", T3D_HIGHER, 0, F_SCORE + 3),
    POINTS("f-score", "abs.01", T3D_HIGHER, 0, F_SCORE + 4),
    POINTS("f-score", "percent-strict-abs.01", T3D_HIGHER, 0, F_STRICT + 4),
    POINTS("f-score", "auc5pct", T3D_HIGHER, 1, F_AUC),
    POINTS("f-score", "precision-1pct", T3D_HIGHER, 1, PRECISION),
    POINTS("f-score", "recall-1pct", T3D_HIGHER, 1, RECALL),
    {"f-score", "centres-1pct", T3D_METRIC_CENTRES, T3D_HIGHER, 0, NAN, NULL, F_SCORE + 1},
    SURFACE("f-score", "surface-1pct", T3D_HIGHER, 0, F_SCORE + 1),
    SURFACE("f-score", "surface-percent-strict-abs.01", T3D_HIGHER, 0, F_STRICT + 4),
    POINTS("hausdorff", "max", T3D_LOWER, 1, HAUSDORFF),
    POINTS("hausdorff", "hd95", T3D_LOWER, 1, HD95),
    POINTS("normal-consistency", "abs", T3D_HIGHER, 1, NORMAL_ABS),
    POINTS("normal-consistency", "signed", T3D_HIGHER, 1, NORMAL_SIGNED),
    POINTS("normal-consistency", "pytorch3d-loss", T3D_LOWER, 0, NORMAL_LOSS),
    {"emd", "exact", T3D_METRIC_EMD, T3D_LOWER, 1, NAN, NULL, T3D_EMD_LINEAR},
    {"emd-sq", "exact", T3D_METRIC_EMD, T3D_LOWER, 1, .005, "< 0.005", T3D_EMD_SQUARED},
    PICTURE("psnr", "white", 1, 25, "> 25", T3D_PSNR_WHITE),
    PICTURE("psnr", "mask", 1, NAN, NULL, T3D_PSNR_MASK),
    PICTURE("psnr", "bbox", 0, NAN, NULL, T3D_PSNR_BBOX),
    PICTURE("psnr", "black", 0, NAN, NULL, T3D_PSNR_BLACK),
    PICTURE("psnr", "linear", 0, NAN, NULL, T3D_PSNR_LINEAR),
    PICTURE("ssim", "gauss11", 1, .85, "> 0.85", T3D_SSIM_ROW + T3D_SSIM_GAUSS11),
    PICTURE("ssim", "skimage", 0, NAN, NULL, T3D_SSIM_ROW + T3D_SSIM_SKIMAGE),
    PICTURE("ssim", "torchmetrics", 0, NAN, NULL, T3D_SSIM_ROW + T3D_SSIM_TORCHMETRICS),
    PICTURE("ssim", "luma", 0, NAN, NULL, T3D_SSIM_ROW + T3D_SSIM_LUMA),
    PICTURE("ssim", "black", 0, NAN, NULL, T3D_SSIM_ROW + T3D_SSIM_BLACK),
    PICTURE("ssim", "mask", 0, NAN, NULL, T3D_SSIM_ROW + T3D_SSIM_MASK),
    {"iou", "grid128", T3D_METRIC_VOLUME, T3D_HIGHER, 1, NAN, NULL, OTHER},
    {"lpips", "vgg", T3D_METRIC_LPIPS, T3D_LOWER, 1, .10, "< 0.10", T3D_LPIPS_VGG},
    LPIPS("alex", 1, T3D_LPIPS_ALEX),
    LPIPS("squeeze", 0, T3D_LPIPS_SQUEEZE),
    LPIPS("vgg-black", 0, T3D_LPIPS_VGG + T3D_LPIPS_OVER_BLACK),
    LPIPS("alex-black", 0, T3D_LPIPS_ALEX + T3D_LPIPS_OVER_BLACK),
    LPIPS("vgg-torchmetrics", 0, T3D_LPIPS_VGG + T3D_LPIPS_OTHER_EPS),
    LPIPS("alex-torchmetrics", 0, T3D_LPIPS_ALEX + T3D_LPIPS_OTHER_EPS),
    {"clip-score", "raw", T3D_METRIC_CLIP, T3D_HIGHER, 1, .30, "> 0.30", T3D_CLIP_RAW},
    VIEWS("clip-score", "x100", T3D_METRIC_CLIP, T3D_HIGHER, 0, T3D_CLIP_X100),
    VIEWS("clip-score", "hessel", T3D_METRIC_CLIP, T3D_HIGHER, 0, T3D_CLIP_HESSEL),
    VIEWS("clip-score", "torchmetrics", T3D_METRIC_CLIP, T3D_HIGHER, 0, T3D_CLIP_TORCHMETRICS),
    VIEWS("clip-score", "best-view", T3D_METRIC_CLIP, T3D_HIGHER, 0, T3D_CLIP_BEST),
    VIEWS("r-precision", "r1", T3D_METRIC_RANK, T3D_HIGHER, 1, 1),
    VIEWS("r-precision", "r5", T3D_METRIC_RANK, T3D_HIGHER, 0, 5),
    VIEWS("r-precision", "r10", T3D_METRIC_RANK, T3D_HIGHER, 0, 10),
    {"view-consistency", "warp-l1", T3D_METRIC_WARP, T3D_HIGHER, 1, .90, "> 0.90", 0},
    VIEWS("view-consistency", "opposite", T3D_METRIC_OPPOSITE, T3D_LOWER, 1, T3D_OPPOSITE),
    VIEWS("view-consistency", "opposite-excess", T3D_METRIC_OPPOSITE, T3D_LOWER, 1,
          T3D_OPPOSITE_EXCESS),
    VIEWS("caption-accuracy", "core930", T3D_METRIC_CAPTION, T3D_HIGHER, 1, T3D_CAPTION_WHOLE),
    VIEWS("caption-accuracy", "core930-colors", T3D_METRIC_CAPTION, T3D_HIGHER, 1,
          T3D_CAPTION_COLORS),
    VIEWS("caption-accuracy", "core930-shapes", T3D_METRIC_CAPTION, T3D_HIGHER, 1,
          T3D_CAPTION_SHAPES),
    {"cost", "seconds", T3D_METRIC_COST, T3D_LOWER, 1, NAN, NULL, OTHER},
};
const int t3d_n_metrics = T3D_COUNT(t3d_metrics);
_Static_assert(T3D_COUNT(t3d_metrics) <= T3D_METRICS_MAX, "raise T3D_METRICS_MAX");

/* --- choosing --- */

static int matches(const char *word, const char *family, const char *dialect)
{
    size_t n = strlen(family);

    if (strncmp(word, family, n) != 0)
        return 0;
    return word[n] == 0 || (dialect && word[n] == ':' && strcmp(word + n + 1, dialect) == 0);
}

static int choose_word(struct t3d_metric_choice *c, const char *word)
{
    int all = strcmp(word, "all") == 0, bare = strchr(word, ':') == NULL, found = 0;

    for (int i = 0; i < t3d_n_metrics; i++) {
        const struct t3d_metric *m = &t3d_metrics[i];
        if (!all && !matches(word, m->family, m->dialect))
            continue;
        c->on[i] |= m->by_default || !bare;
        found = 1;
    }
    return found;
}

/* The families, each once, for messages. */
static void list_families(char *out, size_t size)
{
    size_t n = 0;

    out[0] = 0;
    for (int i = 0; i < t3d_n_metrics; i++) {
        const char *f = t3d_metrics[i].family;
        if (i > 0 && strcmp(f, t3d_metrics[i - 1].family) == 0)
            continue;
        n += (size_t)snprintf(out + n, size - n, "%s%s", n ? " " : "", f);
        if (n >= size)
            return;
    }
}

static void list_dialects(char *out, size_t size, const char *family, size_t n_family)
{
    size_t n = 0;

    out[0] = 0;
    for (int i = 0; i < t3d_n_metrics && n < size; i++)
        if (strncmp(t3d_metrics[i].family, family, n_family) == 0 &&
            t3d_metrics[i].family[n_family] == 0)
            n += (size_t)snprintf(out + n, size - n, "%s%s", n ? " " : "", t3d_metrics[i].dialect);
}

int t3d_metrics_choose(struct t3d_metric_choice *c, const char *const *word, size_t n,
                       struct t3d_err *err)
{
    char list[600], buf[64];

    *c = (struct t3d_metric_choice){0};
    for (size_t i = 0; i < n; i++) {
        const char *colon = strchr(word[i], ':'), *guess;
        if (choose_word(c, word[i]))
            continue;
        if (colon) {
            list_dialects(list, sizeof list, word[i], (size_t)(colon - word[i]));
            if (*list)
                return t3d_err_set(err, T3D_USAGE, "usage", "--metrics: no dialect '%s': one of %s",
                                   word[i], list);
        }
        list_families(list, sizeof list);
        guess = t3d_did_you_mean(word[i], list, buf, sizeof buf);
        return t3d_err_set(
            err, T3D_USAGE, "usage", "--metrics: no metric '%s'%s%s%s: all, or of %s", word[i],
            guess ? " (did you mean '" : "", guess ? guess : "", guess ? "'?)" : "", list);
    }
    return T3D_OK;
}

void t3d_metric_name(char out[T3D_METRIC_ID_SIZE], const struct t3d_metric *m)
{
    snprintf(out, T3D_METRIC_ID_SIZE, "%s:%s", m->family, m->dialect);
}

int t3d_metric_named(const char *id, const char *name)
{
    size_t n = strlen(name);

    return strncmp(id, name, n) == 0 && (id[n] == 0 || id[n] == ':');
}

int t3d_metrics_need(const struct t3d_metric_choice *c, enum t3d_metric_kind kind)
{
    for (int i = 0; i < t3d_n_metrics; i++)
        if (c->on[i] && t3d_metrics[i].kind == kind)
            return 1;
    return 0;
}

/* --- targets --- */

double t3d_metric_target(const struct t3d_metric *m, const char *id)
{
    const char *rest = id + strlen(m->family) + 1 + strlen(m->dialect), *want;
    size_t n;

    if (m->kind == T3D_METRIC_CLIP && strncmp(rest, T3D_TARGET_CLIP, strlen(T3D_TARGET_CLIP)) == 0)
        rest += strlen(T3D_TARGET_CLIP);
    else if (m->kind == T3D_METRIC_CLIP)
        return NAN;
    if (m->kind == T3D_METRIC_WARP)
        return strcmp(rest, ":ring16-512") == 0 ? m->target : NAN;
    if (m->kind >= T3D_METRIC_PICTURE) /* of pictures as they are, or of the default views */
        return *rest == 0 || strcmp(rest, ":ring16+4-512") == 0 ? m->target : NAN;
    want = m->kind == T3D_METRIC_EMD ? ":ref-bbox1:n2048" : ":ref-bbox1:n100000";
    n = strlen(want);
    return strncmp(rest, want, n) == 0 &&
                   (rest[n] == 0 || strcmp(rest + n, T3D_METRIC_FROM_SPLATS) == 0)
               ? m->target
               : NAN;
}

/* --- values --- */

static double mean(const struct t3d_one_way *w)
{
    return w->sum / (double)w->n;
}

static double mean_square(const struct t3d_one_way *w)
{
    return w->sum_squares / (double)w->n;
}

static double harmonic(double p, double r)
{
    return p + r > 0 ? 2 * p * r / (p + r) : 0;
}

static double f_score(const struct t3d_distances *d, int k)
{
    return harmonic((double)d->pred.within[k] / (double)d->pred.n,
                    (double)d->ref.within[k] / (double)d->ref.n);
}

static double f_strict(const struct t3d_distances *d, int k)
{
    return 100 * harmonic((double)d->pred.below[k] / (double)d->pred.n,
                          (double)d->ref.below[k] / (double)d->ref.n);
}

static double normals(const struct t3d_distances *d, int what)
{
    double pred, ref;

    if (!d->pred.n_cos || !d->ref.n_cos)
        return NAN;
    pred = (what == NORMAL_SIGNED ? d->pred.sum_cos : d->pred.sum_abs_cos) / (double)d->pred.n_cos;
    ref = (what == NORMAL_SIGNED ? d->ref.sum_cos : d->ref.sum_abs_cos) / (double)d->ref.n_cos;
    return what == NORMAL_LOSS ? 2 - pred - ref : .5 * (pred + ref);
}

static double chamfer(const struct t3d_distances *d, int what)
{
    double l1 = mean(&d->pred) + mean(&d->ref), l2 = mean_square(&d->pred) + mean_square(&d->ref);

    switch (what) {
    case CD_L1:
        return .5 * l1;
    case CD_SUM:
        return l1;
    case CD_SQ_SUM:
        return l2;
    case CD_SQ_HALF:
        return .5 * l2;
    case CD_L1_X10:
        return 5 * l1;
    case CD_L1_X1E3:
        return 500 * l1;
    case CD_SQ_SUM_X1E3:
        return 1000 * l2;
    case ACCURACY:
        return mean(&d->pred);
    default:
        return mean(&d->ref);
    }
}

double t3d_metric_of_points(const struct t3d_metric *m, const struct t3d_distances *d)
{
    if (m->what <= COMPLETENESS)
        return chamfer(d, m->what);
    if (m->what >= F_SCORE && m->what < F_SCORE_END)
        return f_score(d, m->what - F_SCORE);
    if (m->what >= F_STRICT && m->what < F_STRICT_END)
        return f_strict(d, m->what - F_STRICT);
    switch (m->what) {
    case F_AUC:
        return d->f_auc;
    case PRECISION:
        return (double)d->pred.within[1] / (double)d->pred.n;
    case RECALL:
        return (double)d->ref.within[1] / (double)d->ref.n;
    case HAUSDORFF:
        return fmax(d->pred.most, d->ref.most);
    case HD95:
        return fmax(d->pred.q95, d->ref.q95);
    default:
        return normals(d, m->what);
    }
}

/* --- floors --- */

static double floor_of_chamfer(int what, double density)
{
    double d = .5 / sqrt(density), squared = 1 / (PI * density); /* E d and E d^2 */
    struct t3d_distances one = {.pred = {.n = 1, .sum = d, .sum_squares = squared}};

    one.ref = one.pred;
    return chamfer(&one, what);
}

/* Mean of 1 - exp(-pi density t^2) over t in (0, most]. */
static double floor_of_auc(double density, double most)
{
    double root = sqrt(PI * density);

    return 1 - .5 * sqrt(PI) * erf(root * most) / (root * most);
}

double t3d_metric_floor(const struct t3d_metric *m, double density, double edge)
{
    double tau = t3d_taus[1] * edge;

    if (m->kind != T3D_METRIC_POINTS || !(density > 0) || !isfinite(density))
        return NAN;
    if (m->what <= COMPLETENESS)
        return floor_of_chamfer(m->what, density);
    if (m->what >= F_SCORE && m->what < F_SCORE_END) {
        int k = m->what - F_SCORE;
        tau = k == T3D_N_TAUS - 1 ? t3d_taus[k] : t3d_taus[k] * edge;
    } else if (m->what >= F_STRICT && m->what < F_STRICT_END) {
        return -100 *
               expm1(-PI * density * t3d_taus[m->what - F_STRICT] * t3d_taus[m->what - F_STRICT]);
    } else if (m->what == F_AUC) {
        return floor_of_auc(density, t3d_taus[3] * edge);
    } else if (m->what == HD95) {
        return sqrt(log(20) / (PI * density));
    } else if (m->what != PRECISION && m->what != RECALL) {
        return NAN;
    }
    return -expm1(-PI * density * tau * tau);
}
