/* SPDX-License-Identifier: Apache-2.0 */
#include "num/report.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/defs.h"

static double mib(size_t bytes)
{
    return (double)bytes / (1 << 20);
}

int t3d_report_plan(FILE *to, const struct t3d_graph *g)
{
    struct t3d_graph_size s;
    char again[64] = "";
    int r;

    t3d_graph_size(g, &s);
    if (s.again_flops > 0)
        snprintf(again, sizeof again, ", of these %.3f computed again", s.again_flops * 1e-9);
    r = fprintf(to,
                "nodes         %12d\n"
                "values        %12.1f MiB (each with memory of its own: %.1f MiB)\n"
                "scratch       %12.1f MiB of these, at most\n"
                "inputs        %12.1f MiB\n"
                "parameters    %12.1f MiB, gradients %.1f MiB\n"
                "constants     %12.1f MiB, packed %.1f MiB, of these shared %.1f MiB\n"
                "in all        %12.1f MiB without the constants as given\n"
                "forward       %12.3f GFLOP\n"
                "backward      %12.3f GFLOP%s\n",
                s.n_nodes, mib(s.arena_bytes), mib(s.unplanned_bytes), mib(s.work_bytes),
                mib(s.input_bytes), mib(s.param_bytes), mib(s.grad_bytes), mib(s.constant_bytes),
                mib(s.state_bytes), mib(s.shared_bytes), mib(s.total_bytes), s.forward_flops * 1e-9,
                s.backward_flops * 1e-9, again);
    return r < 0 ? -1 : 0;
}

/* --- profile ---------------------------------------------------------------------------------- */

struct line {
    const char *name;
    int nodes;
    double forward_s, backward_s, flops;
};

static double seconds(const struct line *l)
{
    return l->forward_s + l->backward_s;
}

static int by_seconds(const void *a, const void *b)
{
    double x = seconds(a), y = seconds(b);

    return x > y   ? -1
           : x < y ? 1
                   : strcmp(((const struct line *)a)->name, ((const struct line *)b)->name);
}

static int print_line(FILE *to, const struct line *l, double all)
{
    /* Backward is two products for one; what is computed again counts as backward's time. */
    double flops = l->flops * (l->backward_s > 0 ? 3 : 1), s = seconds(l);

    return fprintf(to, "%-36s %5d %11.3f %11.3f %6.1f%% %9.1f\n", l->name, l->nodes,
                   1e3 * l->forward_s, 1e3 * l->backward_s, all > 0 ? 100 * s / all : 0,
                   s > 0 ? 1e-9 * flops / s : 0);
}

static void add_to(struct line *l, const struct t3d_graph_row *row)
{
    l->nodes++;
    l->forward_s += row->forward_s;
    l->backward_s += row->backward_s;
    l->flops += row->flops * row->runs;
}

static int print_lines(FILE *to, struct line *l, int n, int most, double all)
{
    qsort(l, (size_t)n, sizeof *l, by_seconds);
    if (fprintf(to, "%-36s %5s %11s %11s %7s %9s\n", most < n ? "slowest nodes" : "op", "nodes",
                "forward ms", "backward ms", "share", "GFLOP/s") < 0)
        return -1;
    for (int i = 0; i < n && i < most; i++)
        if (print_line(to, &l[i], all) < 0)
            return -1;
    return 0;
}

int t3d_report_profile(FILE *to, const struct t3d_graph *g, int nodes)
{
    int n = t3d_graph_n_rows(g), n_ops = 0, n_nodes = 0, r;
    struct line *op = calloc((size_t)n + 1, sizeof *op), *node = calloc((size_t)n + 1, sizeof *op);
    double all = 0;

    for (int i = 0; op && node && i < n; i++) {
        struct t3d_graph_row row = t3d_graph_row_at(g, i);
        int k = 0;

        if (strcmp(row.op, "source") == 0)
            continue;
        while (k < n_ops && strcmp(op[k].name, row.op) != 0)
            k++;
        n_ops = T3D_MAX(n_ops, k + 1);
        op[k].name = row.op;
        add_to(&op[k], &row);
        node[n_nodes].name = row.name;
        add_to(&node[n_nodes++], &row);
        all += row.forward_s + row.backward_s;
    }
    r = op && node ? print_lines(to, op, n_ops, n_ops, all) : -1;
    if (r == 0 && nodes > 0)
        r = print_lines(to, node, n_nodes, nodes, all);
    free(op);
    free(node);
    return r;
}

/* --- batch ------------------------------------------------------------------------------------ */

/* 1 fits, 0 does not, negative = error. */
static int fits(t3d_report_make *make, void *arg, size_t bytes, int64_t batch, struct t3d_err *err)
{
    struct t3d_graph *g = make(arg, batch, err);
    struct t3d_graph_size s;

    if (!g)
        return err && err->code < 0 ? (int)err->code : T3D_FAIL;
    t3d_graph_size(g, &s);
    t3d_graph_free(g);
    return s.total_bytes <= bytes;
}

int t3d_report_largest_batch(t3d_report_make *make, void *arg, size_t bytes, int64_t most,
                             int64_t *batch, struct t3d_err *err)
{
    int64_t good = 0, bad = 1;
    int r = 1;

    *batch = 0;
    while (bad <= most && (r = fits(make, arg, bytes, bad, err)) > 0) {
        good = bad;
        bad = good == most ? most + 1 : T3D_MIN(2 * good, most);
    }
    bad = T3D_MIN(bad, most + 1);
    while (r >= 0 && bad - good > 1) {
        int64_t middle = good + (bad - good) / 2;

        r = fits(make, arg, bytes, middle, err);
        if (r > 0)
            good = middle;
        else
            bad = middle;
    }
    if (r < 0)
        return r;
    *batch = good;
    return T3D_OK;
}

/* --- memory ----------------------------------------------------------------------------------- */

/* The number in the first line that begins with `key` ("" = the first); SIZE_MAX = none. */
static size_t read_number(const char *path, const char *key)
{
    FILE *f = fopen(path, "re");
    size_t found = SIZE_MAX;
    char line[128];

    while (f && found == SIZE_MAX && fgets(line, sizeof line, f))
        if (strncmp(line, key, strlen(key)) == 0) {
            char *end;
            unsigned long long v = strtoull(line + strlen(key), &end, 10);

            if (end == line + strlen(key))
                break; /* "max" */
            found = (size_t)v;
        }
    if (f)
        fclose(f);
    return found;
}

size_t t3d_report_memory(void)
{
    size_t kib = read_number("/proc/meminfo", "MemAvailable:");
    size_t limit = read_number("/sys/fs/cgroup/memory.max", "");
    size_t used = read_number("/sys/fs/cgroup/memory.current", "");
    size_t bytes = kib > SIZE_MAX / 1024 ? SIZE_MAX : kib * 1024;

    if (limit == SIZE_MAX || used == SIZE_MAX)
        return bytes;
    return T3D_MIN(bytes, used < limit ? limit - used : 0);
}
