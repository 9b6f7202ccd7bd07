/* SPDX-License-Identifier: Apache-2.0 */
/* a op b with broadcasting, its gradients, and movement: all walk merged axes. */
#include "num/cuda/math.cuh"

/* An index of y to offsets of both other tensors; the last axis is walked by at % dim. */
__device__ static inline void find(const struct t3di_walk *w, int64_t at, int64_t *a, int64_t *b)
{
    *a = *b = 0;
    for (int i = w->n - 1; i >= 0; i--) {
        int64_t q, r;

        if (i == 0) { /* the first axis takes what is left */
            r = at;
            q = 0;
        } else if (at < INT32_MAX && w->dim[i] < INT32_MAX) { /* 64-bit division is slow */
            q = (uint32_t)at / (uint32_t)w->dim[i];
            r = at - q * w->dim[i];
        } else {
            q = at / w->dim[i];
            r = at - q * w->dim[i];
        }
        *a += r * w->a[i];
        *b += r * w->b[i];
        at = q;
    }
}

static int64_t count(const struct t3di_walk *w)
{
    int64_t n = 1;

    for (int i = 0; i < w->n; i++)
        n *= w->dim[i];
    return n;
}

/* W numbers from a place on, or one number W times. */
template <int W>
__device__ static inline vec<W> load_step(struct t3di_dev t, int64_t at, int64_t step)
{
    vec<W> r;

    if (step)
        return load_vec<W>(t, at);
    r.v[0] = load(t, at);
    for (int k = 1; k < W; k++)
        r.v[k] = r.v[0];
    return r;
}

/* Rows divide into vectors when the last axis does and each tensor walks it by 0 or 1 and starts
 * its rows at multiples of 4. */
static int walks_by_four(const struct t3di_walk *w)
{
    int64_t last = w->n - 1;

    if (w->dim[last] % 4 || w->a[last] > 1 || w->b[last] > 1)
        return 0;
    for (int i = 0; i < last; i++)
        if ((w->a[last] && w->a[i] % 4) || (w->b[last] && w->b[i] % 4))
            return 0;
    return 1;
}

/* --- a op b --------------------------------------------------------------------------------------
 */

template <int W>
static __global__ void binary_kernel(int kind, struct t3di_dev y, struct t3di_dev a,
                                     struct t3di_dev b, struct t3di_walk w, int64_t total)
{
    int64_t at = ((int64_t)blockIdx.x * THREADS + threadIdx.x) * W;
    int64_t step = (int64_t)gridDim.x * THREADS * W;

    for (; at < total; at += step) {
        int64_t ia, ib;
        vec<W> x, z;

        find(&w, at, &ia, &ib);
        x = load_step<W>(a, ia, w.a[w.n - 1]);
        z = load_step<W>(b, ib, w.b[w.n - 1]);
        for (int k = 0; k < W; k++)
            x.v[k] = binary_value(kind, x.v[k], z.v[k]);
        store_vec<W>(y, at, x);
    }
}

void t3di_cuda_binary(int kind, struct t3di_dev y, struct t3di_dev a, struct t3di_dev b,
                      const struct t3di_walk *w, void *stream)
{
    int64_t n = count(w);

    if (walks_by_four(w))
        T3DI_LAUNCH(binary_kernel<4>, blocks_for(n / 4), THREADS, stream, kind, y, a, b, *w, n);
    else
        T3DI_LAUNCH(binary_kernel<1>, blocks_for(n), THREADS, stream, kind, y, a, b, *w, n);
}

/* --- gradients
 * ------------------------------------------------------------------------------------ */

struct terms { /* what is summed: element `at` of gy with its operands */
    int kind, which;
    struct t3di_dev gy, a, b;
    struct t3di_walk w;
};

__device__ static inline float term(const struct terms *t, int64_t at)
{
    int64_t ia = 0, ib = 0;

    if (t->a.p || t->b.p)
        find(&t->w, at, &ia, &ib);
    return binary_slope(t->kind, t->which, load(t->gy, at), t->a.p ? load(t->a, ia) : 0,
                        t->b.p ? load(t->b, ib) : 0);
}

template <int W>
static __global__ void each_kernel(struct terms t, struct t3di_dev g, int64_t total, int set)
{
    int64_t at = ((int64_t)blockIdx.x * THREADS + threadIdx.x) * W;
    int64_t step = (int64_t)gridDim.x * THREADS * W;

    for (; at < total; at += step) {
        int64_t ia = 0, ib = 0, last = t.w.n - 1;
        vec<W> d = load_vec<W>(t.gy, at), x = {}, z = {};

        if (t.a.p || t.b.p)
            find(&t.w, at, &ia, &ib);
        if (t.a.p)
            x = load_step<W>(t.a, ia, t.w.a[last]);
        if (t.b.p)
            z = load_step<W>(t.b, ib, t.w.b[last]);
        for (int k = 0; k < W; k++)
            d.v[k] = binary_slope(t.kind, t.which, d.v[k], x.v[k], z.v[k]);
        add_vec<W>(g, at, d, set);
    }
}

/* Axes that an operand keeps and those over which its gradient is summed. */
struct split {
    int n_kept, n_summed;
    int kept[T3DI_WALK], summed[T3DI_WALK];
    int64_t keeps, sums;
    int64_t step[T3DI_WALK]; /* of gy */
};

static struct split split_of(const struct t3di_walk *w, int which)
{
    struct split s = {};
    int64_t step = 1;

    s.keeps = s.sums = 1;
    for (int i = w->n - 1; i >= 0; i--) {
        s.step[i] = step;
        step *= w->dim[i];
    }
    for (int i = 0; i < w->n; i++) {
        if ((which ? w->b : w->a)[i]) {
            s.kept[s.n_kept++] = i;
            s.keeps *= w->dim[i];
        } else {
            s.summed[s.n_summed++] = i;
            s.sums *= w->dim[i];
        }
    }
    return s;
}

__device__ static inline int64_t place(const struct t3di_walk *w, const struct split *s,
                                       const int *axis, int n, int64_t flat)
{
    int64_t at = 0;

    for (int i = n - 1; i > 0; i--) {
        at += flat % w->dim[axis[i]] * s->step[axis[i]];
        flat /= w->dim[axis[i]];
    }
    return n ? at + flat * s->step[axis[0]] : 0; /* most sums have one axis: no division */
}

/* Terms that one part sums: fixed by the sizes alone. */
static int64_t part_of(const struct split *s, int inner_kept)
{
    int64_t parts = inner_kept ? 64 : 1024, least = inner_kept ? 32 : 2048;
    int64_t part = (s->sums + parts - 1) / parts;

    return part < least ? least : part;
}

/* The operand walks along the last axis: a thread an element, so that a warp reads in one run.
 * to (parts, keeps). */
static __global__ void columns_kernel(struct terms t, struct split s, float *to, int64_t part)
{
    int64_t k = (int64_t)blockIdx.x * THREADS + threadIdx.x, first = (int64_t)blockIdx.y * part;
    int64_t end = first + part < s.sums ? first + part : s.sums, base;
    float sum = 0;

    if (k >= s.keeps)
        return;
    base = place(&t.w, &s, s.kept, s.n_kept, k);
    for (int64_t i = first; i < end; i++)
        sum += term(&t, base + place(&t.w, &s, s.summed, s.n_summed, i));
    to[(int64_t)blockIdx.y * s.keeps + k] = sum;
}

/* The last axis is summed: a warp an element and part. to (keeps, parts). */
static __global__ void rows_kernel(struct terms t, struct split s, float *to, int64_t part,
                                   int64_t parts)
{
    struct team m = team_here(WARP);
    int64_t k = m.row / parts, first = m.row % parts * part;
    int64_t end = first + part < s.sums ? first + part : s.sums;
    float sum = 0;

    if (k < s.keeps) {
        int64_t base = place(&t.w, &s, s.kept, s.n_kept, k);

        for (int64_t i = first + m.lane; i < end; i += WARP)
            sum += term(&t, base + place(&t.w, &s, s.summed, s.n_summed, i));
    }
    sum = warp_sum(sum);
    if (m.lane == 0 && k < s.keeps)
        to[m.row] = sum;
}

/* g (keeps) (+)= the sum of the parts: from (parts, keeps), or (keeps, parts) by a warp each. */
static __global__ void gather_columns(struct t3di_dev g, const float *from, int64_t keeps,
                                      int64_t parts, float scale, int set)
{
    int64_t k = (int64_t)blockIdx.x * THREADS + threadIdx.x;
    float sum = 0;

    if (k >= keeps)
        return;
    for (int64_t i = 0; i < parts; i++)
        sum += from[i * keeps + k];
    sum *= scale;
    store(g, k, set ? sum : load(g, k) + sum);
}

static __global__ void gather_rows(struct t3di_dev g, const float *from, int64_t keeps,
                                   int64_t parts, float scale, int set)
{
    struct team m = team_here(WARP);
    float sum = 0;

    for (int64_t i = m.lane; m.row < keeps && i < parts; i += WARP)
        sum += from[m.row * parts + i];
    sum = warp_sum(sum) * scale;
    if (m.lane == 0 && m.row < keeps)
        store(g, m.row, set ? sum : load(g, m.row) + sum);
}

int64_t t3di_cuda_binary_work(const struct t3di_walk *w, int which)
{
    struct split s = split_of(w, which);
    int64_t part = part_of(&s, (which ? w->b : w->a)[w->n - 1] != 0);

    return s.sums == 1 ? 0 : (s.sums + part - 1) / part * s.keeps * (int64_t)sizeof(float);
}

static void sum_terms(struct terms t, struct t3di_dev g, float scale, int set, float *work,
                      void *stream)
{
    struct split s = split_of(&t.w, t.which);
    int inner_kept = (t.which ? t.w.b : t.w.a)[t.w.n - 1] != 0;
    int64_t part = part_of(&s, inner_kept), parts = (s.sums + part - 1) / part;
    unsigned blocks = (unsigned)((s.keeps + THREADS - 1) / THREADS);

    if (inner_kept) {
        T3DI_LAUNCH(columns_kernel, dim3(blocks, (unsigned)parts), THREADS, stream, t, s, work,
                    part);
        T3DI_LAUNCH(gather_columns, blocks, THREADS, stream, g, work, s.keeps, parts, scale, set);
    } else {
        T3DI_LAUNCH(rows_kernel, team_blocks(s.keeps * parts, WARP), THREADS, stream, t, s, work,
                    part, parts);
        T3DI_LAUNCH(gather_rows, team_blocks(s.keeps, WARP), THREADS, stream, g, work, s.keeps,
                    parts, scale, set);
    }
}

void t3di_cuda_binary_grad(int kind, int which, struct t3di_dev g, struct t3di_dev gy,
                           struct t3di_dev a, struct t3di_dev b, const struct t3di_walk *w, int set,
                           float *work, void *stream)
{
    struct split s = split_of(w, which);
    struct terms t = {kind, which, gy, a, b, *w};
    int64_t n = count(w);

    if (s.sums > 1)
        sum_terms(t, g, 1, set, work, stream);
    else if (walks_by_four(w))
        T3DI_LAUNCH(each_kernel<4>, blocks_for(n / 4), THREADS, stream, t, g, n, set);
    else
        T3DI_LAUNCH(each_kernel<1>, blocks_for(n), THREADS, stream, t, g, n, set);
}

/* --- movement
 * --------------------------------------------------------------------------------------- */

template <int W>
static __global__ void move_kernel(struct t3di_dev y, struct t3di_dev x, struct t3di_walk w,
                                   int64_t total, int add)
{
    int64_t at = ((int64_t)blockIdx.x * THREADS + threadIdx.x) * W;
    int64_t step = (int64_t)gridDim.x * THREADS * W;

    for (; at < total; at += step) {
        int64_t iy, ix;

        find(&w, at, &iy, &ix);
        add_vec<W>(y, iy, load_vec<W>(x, ix), !add);
    }
}

/* Two axes change places: tiles go through shared memory, so that both sides run along a row. The
 * walk's axes i and last are those; y runs along `last`, x along i. */
enum { TILE = 32, TILE_ROWS = THREADS / TILE };

struct swap {
    struct t3di_walk outer; /* the other axes */
    int64_t rows, columns;  /* of y */
    int64_t y_row, x_column;
};

static __global__ void transpose_kernel(struct t3di_dev y, struct t3di_dev x, struct swap s,
                                        int add)
{
    __shared__ float tile[TILE][TILE + 1]; /* the odd width keeps columns in different banks */
    int64_t tiles = (s.columns + TILE - 1) / TILE, iy, ix;
    int64_t row0 = (int64_t)blockIdx.x / tiles * TILE, column0 = (int64_t)blockIdx.x % tiles * TILE;
    int lane = (int)threadIdx.x % TILE, first = (int)threadIdx.x / TILE;

    find(&s.outer, (int64_t)blockIdx.y, &iy, &ix);
    for (int c = first; c < TILE; c += TILE_ROWS)
        if (column0 + c < s.columns && row0 + lane < s.rows)
            tile[c][lane] = load(x, ix + (column0 + c) * s.x_column + row0 + lane);
    __syncthreads();
    for (int r = first; r < TILE; r += TILE_ROWS)
        if (row0 + r < s.rows && column0 + lane < s.columns) {
            int64_t i = iy + (row0 + r) * s.y_row + column0 + lane;
            float v = tile[lane][r];

            store(y, i, add ? load(y, i) + v : v);
        }
}

/* Does another axis run along memory in x while the last one does in y? Its index, or -1. */
static int swapped_axis(const struct t3di_walk *w)
{
    int last = w->n - 1;

    if (w->a[last] != 1 || w->b[last] == 1 || w->dim[last] < 8)
        return -1;
    for (int i = 0; i < last; i++)
        if (w->b[i] == 1 && w->dim[i] >= 8)
            return i;
    return -1;
}

static void transpose(struct t3di_dev y, struct t3di_dev x, const struct t3di_walk *w, int axis,
                      int add, void *stream)
{
    struct swap s = {};
    int64_t outer, tiles;

    s.rows = w->dim[axis];
    s.columns = w->dim[w->n - 1];
    s.y_row = w->a[axis];
    s.x_column = w->b[w->n - 1];
    for (int i = 0; i < w->n - 1; i++)
        if (i != axis) {
            s.outer.dim[s.outer.n] = w->dim[i];
            s.outer.a[s.outer.n] = w->a[i];
            s.outer.b[s.outer.n++] = w->b[i];
        }
    if (!s.outer.n)
        s.outer.dim[s.outer.n++] = 1;
    outer = count(&s.outer);
    tiles = (s.rows + TILE - 1) / TILE * ((s.columns + TILE - 1) / TILE);
    T3DI_LAUNCH(transpose_kernel, dim3((unsigned)tiles, (unsigned)outer), THREADS, stream, y, x, s,
                add);
}

void t3di_cuda_move(struct t3di_dev y, struct t3di_dev x, const struct t3di_walk *w, int add,
                    void *stream)
{
    int64_t n = count(w), outer;
    int axis = swapped_axis(w), last = w->n - 1;

    outer = axis < 0 ? 0 : n / w->dim[axis] / w->dim[last];
    if (axis >= 0 && outer <= 65535)
        transpose(y, x, w, axis, add, stream);
    else if (w->a[last] == 1 && w->b[last] == 1 && walks_by_four(w) && aligned(y) && aligned(x))
        T3DI_LAUNCH(move_kernel<4>, blocks_for(n / 4), THREADS, stream, y, x, *w, n, add);
    else
        T3DI_LAUNCH(move_kernel<1>, blocks_for(n), THREADS, stream, y, x, *w, n, add);
}

/* --- sums
 * --------------------------------------------------------------------------------------------- */

static struct t3di_walk sum_walk(int64_t outer, int64_t n, int64_t inner)
{
    struct t3di_walk w = {};

    w.n = inner == 1 ? 2 : 3;
    w.dim[0] = outer;
    w.dim[1] = n;
    w.dim[2] = inner;
    w.a[0] = 1; /* what is kept; its value does not matter */
    w.a[2] = inner == 1 ? 0 : 1;
    return w;
}

int64_t t3di_cuda_sum_work(int64_t outer, int64_t n, int64_t inner)
{
    struct t3di_walk w = sum_walk(outer, n, inner);

    return n == 1 ? 0 : t3di_cuda_binary_work(&w, 0);
}

void t3di_cuda_sum(struct t3di_dev y, struct t3di_dev x, int64_t outer, int64_t n, int64_t inner,
                   float scale, int add, float *work, void *stream)
{
    struct t3di_walk w = sum_walk(outer, n, inner);
    struct t3di_dev none = {};

    if (n == 1)
        t3di_cuda_unary_grad(T3DI_LINEAR, y, x, none, outer * inner, scale, 0, !add, stream);
    else
        sum_terms((struct terms){T3DI_ADD, 0, x, none, none, w}, y, scale, !add, work, stream);
}

template <int W>
static __global__ void repeat_add_kernel(struct t3di_dev g, struct t3di_dev y, struct t3di_walk w,
                                         int64_t total, float scale)
{
    int64_t at = ((int64_t)blockIdx.x * THREADS + threadIdx.x) * W;

    for (; at < total; at += (int64_t)gridDim.x * THREADS * W) {
        int64_t unused, from;
        vec<W> x;

        find(&w, at, &unused, &from);
        x = load_step<W>(y, from, w.b[w.n - 1]);
        for (int k = 0; k < W; k++)
            x.v[k] *= scale;
        add_vec<W>(g, at, x, 0);
    }
}

void t3di_cuda_repeat_add(struct t3di_dev g, struct t3di_dev y, int64_t outer, int64_t n,
                          int64_t inner, float scale, void *stream)
{
    struct t3di_walk w = sum_walk(outer, n, inner);

    w.b[0] = inner;
    w.b[w.n - 1] = inner == 1 ? 0 : 1;
    for (int i = 0; i < w.n; i++)
        w.a[i] = 0;
    if (walks_by_four(&w))
        T3DI_LAUNCH(repeat_add_kernel<4>, blocks_for(count(&w) / 4), THREADS, stream, g, y, w,
                    count(&w), scale);
    else
        T3DI_LAUNCH(repeat_add_kernel<1>, blocks_for(count(&w)), THREADS, stream, g, y, w,
                    count(&w), scale);
}
