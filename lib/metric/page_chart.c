/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <string.h>

#include "base/defs.h"
#include "metric/page_impl.h"

enum { BINS = 24, WIDTH = 320, HEIGHT = 84, LINE = 13, COLUMNS = 240 };

/* --- histograms ------------------------------------------------------------------------------ */

struct range {
    double low, high;
};

static struct range range_of(const struct t3di_histogram *h)
{
    struct range r = {INFINITY, -INFINITY};

    for (size_t i = 0; i < h->n; i++)
        if (h->values[i].n) {
            r.low = fmin(r.low, h->values[i].v[0].value);
            r.high = fmax(r.high, h->values[i].v[h->values[i].n - 1].value);
        }
    return r;
}

static void count_bins(int count[BINS], const struct t3di_values *v, struct range r)
{
    double width = r.high - r.low;

    memset(count, 0, BINS * sizeof *count);
    for (size_t i = 0; i < v->n; i++) {
        int k =
            width > 0 && isfinite(width) ? (int)((v->v[i].value - r.low) / width * BINS) : BINS / 2;

        count[T3D_CLAMP(k, 0, BINS - 1)]++;
    }
}

/* Bars of input i, the slot-th of n that have any. */
static void put_bins(FILE *f, const struct t3di_values *v, struct range r, size_t i, size_t slot,
                     size_t n)
{
    double step = (double)WIDTH / BINS, wide = step / (double)n - (n > 1 ? .2 : 1);
    int count[BINS], most = 1;

    count_bins(count, v, r);
    for (int k = 0; k < BINS; k++)
        most = T3D_MAX(most, count[k]);
    fprintf(f, "<g class=r%zu>", i % T3DI_COLOURS);
    for (int k = 0; k < BINS; k++) {
        double h = (double)HEIGHT * count[k] / most;

        if (count[k])
            fprintf(f,
                    "<rect class=bar x=\"%.2f\" y=\"%.2f\" width=\"%.2f\" height=\"%.2f\"><title>"
                    "%c: %d</title></rect>",
                    step * k + step / (double)n * (double)slot + .4, HEIGHT - h, wide, h,
                    t3di_letter(i), count[k]);
    }
    fputs("</g>", f);
}

static void put_mark(FILE *f, double v, struct range r, const char *what, size_t colour)
{
    double x = (v - r.low) / (r.high - r.low) * WIDTH;

    if (r.high > r.low && x >= 0 && x <= WIDTH)
        fprintf(f,
                "<line class=\"%s r%zu\" x1=\"%.2f\" x2=\"%.2f\" y1=\"0\" y2=\"%d\"><title>%s"
                "</title></line>",
                what, colour, x, x, HEIGHT, what);
}

void t3di_put_histogram(FILE *f, const struct t3di_histogram *h)
{
    struct range r = range_of(h);
    char a[T3DI_NUMBER], b[T3DI_NUMBER];
    size_t filled = 0, slot = 0;

    if (r.low > r.high)
        return;
    for (size_t i = 0; i < h->n; i++)
        filled += h->values[i].n > 0;
    fprintf(f, "<svg viewBox=\"0 0 %d %d\" role=img aria-label=\"histogram from %s to %s\">", WIDTH,
            HEIGHT + LINE, t3di_number(r.low, a), t3di_number(r.high, b));
    fprintf(f, "<line class=axis x1=0 x2=%d y1=%d y2=%d />", WIDTH, HEIGHT, HEIGHT);
    for (size_t i = 0; i < h->n; i++)
        if (h->values[i].n)
            put_bins(f, &h->values[i], r, i, slot++, filled);
    for (size_t i = 0; i < h->n; i++)
        if (isfinite(h->mean[i]))
            put_mark(f, h->mean[i], r, "mean", i % T3DI_COLOURS);
    if (isfinite(h->floor))
        put_mark(f, h->floor, r, "floor", 0);
    if (isfinite(h->bound))
        put_mark(f, h->bound, r, "bound", 0);
    fprintf(f, "<text x=0 y=%d>%s</text><text x=%d y=%d text-anchor=end>%s</text></svg>",
            HEIGHT + LINE - 2, t3di_number(r.low, a), WIDTH, HEIGHT + LINE - 2,
            t3di_number(r.high, b));
}

/* --- curves ---------------------------------------------------------------------------------- */

/* The x and y of a chart; y by its logarithm when it spans much. */
struct plane {
    struct range x, y;
    int by_log;
};

static struct plane plane_of(const struct t3di_series *s, size_t n)
{
    struct plane p = {{INFINITY, -INFINITY}, {INFINITY, -INFINITY}, 0};

    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < s[i].n; k++) {
            p.x.low = fmin(p.x.low, s[i].x[k]);
            p.x.high = fmax(p.x.high, s[i].x[k]);
            p.y.low = fmin(p.y.low, s[i].y[k]);
            p.y.high = fmax(p.y.high, s[i].y[k]);
        }
    p.by_log = p.y.low > 0 && p.y.high > 30 * p.y.low && p.y.high < 1e5 * p.y.low;
    return p;
}

static double across(const struct plane *p, double x)
{
    return p->x.high > p->x.low && isfinite(p->x.high - p->x.low)
               ? (x - p->x.low) / (p->x.high - p->x.low) * WIDTH
               : WIDTH / 2;
}

static double down(const struct plane *p, double y)
{
    double low = p->by_log ? log(p->y.low) : p->y.low,
           high = p->by_log ? log(p->y.high) : p->y.high;

    if (!(high > low) || !isfinite(high - low))
        return HEIGHT / 2;
    return HEIGHT - ((p->by_log ? log(y) : y) - low) / (high - low) * HEIGHT;
}

/* A point of the curve for each column that has any: the mean, and what lies between least and
 * most. */
struct column {
    double x, sum, least, most;
    size_t n;
};

static size_t columns_of(struct column out[COLUMNS + 1], const struct plane *p,
                         const struct t3di_series *s)
{
    size_t n = 0;
    int last = -1;

    for (size_t k = 0; k < s->n; k++) {
        double x = across(p, s->x[k]);
        int column = (int)(x * COLUMNS / WIDTH);

        if (column != last)
            out[n++] = (struct column){0, 0, s->y[k], s->y[k], 0};
        last = column;
        out[n - 1].x += x;
        out[n - 1].sum += s->y[k];
        out[n - 1].least = fmin(out[n - 1].least, s->y[k]);
        out[n - 1].most = fmax(out[n - 1].most, s->y[k]);
        out[n - 1].n++;
    }
    for (size_t i = 0; i < n; i++)
        out[i].x /= (double)out[i].n;
    return n;
}

static void put_curve(FILE *f, const struct plane *p, const struct t3di_series *s)
{
    struct column c[COLUMNS + 1];
    size_t n = columns_of(c, p, s);

    fprintf(f, "<g class=r%zu>", s->colour % T3DI_COLOURS);
    if (n < s->n) {
        fputs("<path class=band d=\"", f);
        for (size_t i = 0; i < n; i++)
            fprintf(f, "%c%.1f %.1f", i ? 'L' : 'M', c[i].x, down(p, c[i].most));
        for (size_t i = n; i-- > 0;)
            fprintf(f, "L%.1f %.1f", c[i].x, down(p, c[i].least));
        fputs("z\"/>", f);
    }
    if (n == 1)
        fprintf(f, "<circle class=bar cx=\"%.1f\" cy=\"%.1f\" r=3 />", c[0].x,
                down(p, c[0].sum / (double)c[0].n));
    fputs("<path class=curve d=\"", f);
    for (size_t i = 0; i < n; i++)
        fprintf(f, "%c%.1f %.1f", i ? 'L' : 'M', c[i].x, down(p, c[i].sum / (double)c[i].n));
    fputs("\"/></g>", f);
}

void t3di_put_curves(FILE *f, const struct t3di_series *s, size_t n, const char *name)
{
    struct plane p = plane_of(s, n);
    char a[T3DI_NUMBER], b[T3DI_NUMBER];

    if (p.x.low > p.x.high)
        return;
    fprintf(f, "<svg viewBox=\"0 -%d %d %d\" role=img aria-label=\"", LINE, WIDTH,
            HEIGHT + 3 * LINE);
    t3di_put_text(f, name);
    fprintf(f, " from %s to %s\">", t3di_number(p.y.low, a), t3di_number(p.y.high, b));
    fprintf(f, "<line class=axis x1=0 x2=%d y1=%d y2=%d /><line class=axis x1=0 x2=%d y1=0 y2=0 />",
            WIDTH, HEIGHT, HEIGHT, WIDTH);
    for (size_t i = 0; i < n; i++)
        if (s[i].n)
            put_curve(f, &p, &s[i]);
    fprintf(f, "<text x=0 y=-3>%s%s</text><text x=0 y=%d>%s</text>", b,
            p.by_log ? " (logarithmic)" : "", HEIGHT + LINE - 2, a);
    fprintf(f, "<text x=%d y=%d text-anchor=end>step %.0f to %.0f</text></svg>", WIDTH,
            HEIGHT + LINE - 2, p.x.low, p.x.high);
}

/* --- shares ---------------------------------------------------------------------------------- */

void t3di_put_shares(FILE *f, const double *part, const char *const *name, size_t n)
{
    double x = 0;

    fputs("<svg class=share viewBox=\"0 0 100 8\" preserveAspectRatio=none role=img aria-label=\"",
          f);
    for (size_t i = 0; i < n; i++) {
        t3di_put_text(f, name[i]);
        fprintf(f, " %.0f%% ", 100 * part[i]);
    }
    fputs("\">", f);
    for (size_t i = 0; i < n; i++) {
        fprintf(f, "<rect class=s%zu x=\"%.2f\" y=0 width=\"%.2f\" height=8><title>",
                i % T3DI_COLOURS, x, 100 * part[i]);
        t3di_put_text(f, name[i]);
        fprintf(f, " %.0f %%</title></rect>", 100 * part[i]);
        x += 100 * part[i];
    }
    fputs("</svg>", f);
}
