/* SPDX-License-Identifier: Apache-2.0 */
#include "geom/nearest.h"

#include <math.h>

#include "base/isa.h"
#include "geom/nearest_impl.h"

enum {
    KEY_BITS = 10, /* of an axis along the curve */
    DIGIT = 10,
    DIGITS = 1 << DIGIT,
    MAX_CHUNKS = 64,   /* of a sort */
    CHUNK_LEAVES = 64, /* asked by one thread at a time; fixed, because each chunk starts afresh */
    FEW_POINTS = 4096  /* below it threads cost more than they save */
};
#define MAX_POINTS (1u << 28)

/* --- order along a Hilbert curve --- */

/* The place of a cell along the curve. Skilling, "Programming the Hilbert curve", AIP Conference
 * Proceedings 707 (2004): from axes to the transposed index, then the bits of the axes in turn. */
static uint32_t hilbert(uint32_t x, uint32_t y, uint32_t z)
{
    uint32_t a[3] = {x, y, z}, t = 0, key = 0;

    for (uint32_t q = 1u << (KEY_BITS - 1); q > 1; q >>= 1)
        for (int i = 0; i < 3; i++) {
            uint32_t p = q - 1, set = 0u - ((a[i] & q) != 0), swap = (a[0] ^ a[i]) & p & ~set;
            a[0] ^= (p & set) | swap;
            a[i] ^= swap;
        }
    a[1] ^= a[0];
    a[2] ^= a[1];
    for (uint32_t q = 1u << (KEY_BITS - 1); q > 1; q >>= 1)
        t ^= (q - 1) & (0u - ((a[2] & q) != 0));
    for (int bit = KEY_BITS - 1; bit >= 0; bit--)
        for (int i = 0; i < 3; i++)
            key = key << 1 | ((a[i] ^ t) >> bit & 1);
    return key;
}

struct item {
    uint32_t key, number;
};

struct extent {
    float lo[3], hi[3], most; /* most: largest absolute value */
    int bad;
};

static struct extent measure(const float (*p)[3], uint32_t n)
{
    struct extent e = {.lo = {INFINITY, INFINITY, INFINITY},
                       .hi = {-INFINITY, -INFINITY, -INFINITY}};

    for (uint32_t i = 0; i < n; i++)
        for (int k = 0; k < 3; k++) {
            float v = p[i][k];
            e.bad |= !isfinite(v);
            e.lo[k] = v < e.lo[k] ? v : e.lo[k];
            e.hi[k] = v > e.hi[k] ? v : e.hi[k];
            e.most = fabsf(v) > e.most ? fabsf(v) : e.most;
        }
    return e;
}

static void make_keys(struct item *item, const float (*p)[3], uint32_t n, const struct extent *e,
                      int threads)
{
    double side = 0, scale;

    for (int k = 0; k < 3; k++)
        side = fmax(side, (double)e->hi[k] - (double)e->lo[k]);
    scale = side > 0 ? ((1 << KEY_BITS) - 1) / side : 0;
#pragma omp parallel for num_threads(threads) schedule(static)
    for (uint32_t i = 0; i < n; i++) {
        uint32_t cell[3];
        for (int k = 0; k < 3; k++)
            cell[k] = (uint32_t)(((double)p[i][k] - (double)e->lo[k]) * scale);
        item[i] = (struct item){hilbert(cell[0], cell[1], cell[2]), i};
    }
}

/* One pass of a stable sort by a digit of the key: counts of each chunk, their places, the moves.
 * The result does not depend on the number of chunks. */
static void sort_pass(struct item *out, const struct item *in, uint32_t n, int shift,
                      uint32_t (*place)[DIGITS], int chunks)
{
    uint32_t sum = 0;

#pragma omp parallel for num_threads(chunks) schedule(static)
    for (int c = 0; c < chunks; c++) {
        uint32_t end = (uint32_t)((uint64_t)n * (uint64_t)(c + 1) / (uint64_t)chunks);
        memset(place[c], 0, sizeof place[c]);
        for (uint32_t i = (uint32_t)((uint64_t)n * (uint64_t)c / (uint64_t)chunks); i < end; i++)
            place[c][in[i].key >> shift & (DIGITS - 1)]++;
    }
    for (int d = 0; d < DIGITS; d++)
        for (int c = 0; c < chunks; c++) {
            uint32_t count = place[c][d];
            place[c][d] = sum;
            sum += count;
        }
#pragma omp parallel for num_threads(chunks) schedule(static)
    for (int c = 0; c < chunks; c++) {
        uint32_t end = (uint32_t)((uint64_t)n * (uint64_t)(c + 1) / (uint64_t)chunks);
        for (uint32_t i = (uint32_t)((uint64_t)n * (uint64_t)c / (uint64_t)chunks); i < end; i++)
            out[place[c][in[i].key >> shift & (DIGITS - 1)]++] = in[i];
    }
}

/* The numbers of the points along the curve, the last one repeated to fill its leaf. */
static int sort_points(struct t3d_nearest *t, const float (*p)[3], const struct extent *e,
                       int threads, struct t3d_err *err)
{
    int chunks = T3D_CLAMP(threads, 1, MAX_CHUNKS);
    struct item *item = malloc(2 * (size_t)t->n * sizeof *item), *spare = item + t->n;
    uint32_t(*place)[DIGITS] = malloc((size_t)chunks * sizeof *place);

    if (!item || !place) {
        free(item);
        free(place);
        return t3d_err_nomem(err, "a point cloud");
    }
    make_keys(item, p, t->n, e, threads);
    sort_pass(spare, item, t->n, 0, place, chunks);
    sort_pass(item, spare, t->n, DIGIT, place, chunks);
    sort_pass(spare, item, t->n, 2 * DIGIT, place, chunks);
    for (size_t i = 0; i < (size_t)t->n_leaves * T3DI_LEAF; i++)
        t->order[i] = spare[i < t->n ? i : t->n - 1].number;
    free(item);
    free(place);
    return T3D_OK;
}

/* --- the tree --- */

static void fill_leaves(struct t3d_nearest *t, const float (*p)[3], int threads)
{
    float scale = ldexpf(1, -t->exponent);

#pragma omp parallel for num_threads(threads) schedule(static)
    for (uint32_t leaf = 0; leaf < t->n_leaves; leaf++)
        for (uint32_t i = 0; i < T3DI_LEAF; i++)
            for (int k = 0; k < 3; k++)
                t->point[(size_t)leaf * T3DI_LEAF_ROW + (size_t)k * 16 + i] =
                    scale * p[t->order[(size_t)leaf * 16 + i]][k];
}

/* Box i of a level from the 16 points of a leaf or the boxes of its children. */
static void fill_box(struct t3d_nearest *t, int level, uint32_t i)
{
    float *row = t->box[level] + (size_t)(i / 16) * T3DI_BOX_ROW + i % 16;
    const float *lo = level ? t->box[level - 1] + (size_t)i * T3DI_BOX_ROW
                            : t->point + (size_t)i * T3DI_LEAF_ROW,
                *hi = level ? lo + 48 : lo;
    uint32_t n = level ? T3D_MIN(16u, t->count[level - 1] - i * 16) : 16;

    for (int k = 0; k < 3; k++) {
        float least = lo[16 * k], most = hi[16 * k];
        for (uint32_t j = 1; j < n; j++) {
            least = fminf(least, lo[16 * k + (int)j]);
            most = fmaxf(most, hi[16 * k + (int)j]);
        }
        row[16 * k] = least;
        row[48 + 16 * k] = most;
    }
}

int t3di_boxes_level(struct t3d_nearest *t, int level, uint32_t count, struct t3d_err *err)
{
    uint32_t rows = (count + 15) / 16;
    float *box = aligned_alloc(64, (size_t)rows * T3DI_BOX_ROW * sizeof *box);

    if (!box)
        return t3d_err_nomem(err, "a tree of boxes");
    t->box[level] = box;
    t->count[level] = count;
    t->n_levels = level + 1;
    /* Boxes that are not there: infinitely far from everything. */
    for (int k = 0; k < T3DI_BOX_ROW; k++)
        box[(size_t)(rows - 1) * T3DI_BOX_ROW + (size_t)k] = INFINITY;
    return T3D_OK;
}

int t3di_boxes_above(struct t3d_nearest *t, int threads, struct t3d_err *err)
{
    uint32_t count = t->count[0];
    int r = T3D_OK;

    for (int level = 1; count > 16 && r == T3D_OK; level++) {
        count = (count + 15) / 16;
        r = t3di_boxes_level(t, level, count, err);
        if (r < 0)
            break;
#pragma omp parallel for num_threads(threads) schedule(static)
        for (uint32_t i = 0; i < count; i++)
            fill_box(t, level, i);
    }
    return r;
}

void t3di_boxes_free(struct t3d_nearest *t)
{
    for (int i = 0; i < t->n_levels; i++)
        free(t->box[i]);
}

static int build(struct t3d_nearest *t, const float (*p)[3], int threads, struct t3d_err *err)
{
    struct extent e = measure(p, t->n);
    int r = T3D_OK;

    if (e.bad)
        return t3d_err_set(err, T3D_SKIP, "non-finite",
                           "a point has a coordinate that is not a finite number");
    frexpf(e.most, &t->exponent);
    t->exponent = T3D_MAX(t->exponent, -100);
    t->point = aligned_alloc(64, (size_t)t->n_leaves * T3DI_LEAF_ROW * sizeof *t->point);
    t->order = aligned_alloc(64, (size_t)t->n_leaves * T3DI_LEAF * sizeof *t->order);
    if (!t->point || !t->order)
        return t3d_err_nomem(err, "a point cloud");
    r = sort_points(t, p, &e, threads, err);
    if (r < 0)
        return r;
    fill_leaves(t, p, threads);
    r = t3di_boxes_level(t, 0, t->n_leaves, err);
    if (r < 0)
        return r;
#pragma omp parallel for num_threads(threads) schedule(static)
    for (uint32_t i = 0; i < t->n_leaves; i++)
        fill_box(t, 0, i);
    return t3di_boxes_above(t, threads, err);
}

int t3d_nearest_new(struct t3d_nearest **out, const float (*point)[3], uint32_t n, int threads,
                    struct t3d_err *err)
{
    struct t3d_nearest *t;
    int r;

    if (n == 0)
        return t3d_err_set(err, T3D_SKIP, "no-points", "the point cloud is empty");
    if (n > MAX_POINTS)
        return t3d_err_set(err, T3D_SKIP, "too-large", "%u points: at most %u are compared", n,
                           MAX_POINTS);
    t = calloc(1, sizeof *t);
    if (!t)
        return t3d_err_nomem(err, "a point cloud");
    t->n = n;
    t->n_leaves = (n + T3DI_LEAF - 1) / T3DI_LEAF;
    r = build(t, point, n < FEW_POINTS ? 1 : threads, err);
    if (r == T3D_OK)
        *out = t;
    else
        t3d_nearest_free(t);
    return r;
}

void t3d_nearest_free(struct t3d_nearest *t)
{
    if (!t)
        return;
    t3di_boxes_free(t);
    free(t->point);
    free(t->order);
    free(t);
}

uint32_t t3d_nearest_count(const struct t3d_nearest *t)
{
    return t->n;
}

const uint32_t *t3d_nearest_order(const struct t3d_nearest *t)
{
    return t->order;
}

/* --- asking --- */

static t3di_nearest_fn *kernel(void)
{
    switch (t3d_isa()) {
    case T3D_ISA_AVX512:
        return t3di_nearest_avx512;
    case T3D_ISA_AVX2:
        return t3di_nearest_avx2;
    default:
        return t3di_nearest_portable;
    }
}

/* One chunk of leaves, from leaf order to input order. */
static void ask_chunk(const struct t3d_nearest *from, const struct t3d_nearest *to, uint32_t first,
                      float *distance, uint32_t *index)
{
    float squares[CHUNK_LEAVES * T3DI_LEAF];
    uint32_t found[CHUNK_LEAVES * T3DI_LEAF];
    uint32_t last = T3D_MIN(first + CHUNK_LEAVES, from->n_leaves);
    float unit = ldexpf(1, to->exponent);
    size_t base = (size_t)first * T3DI_LEAF;

    kernel()(from, to, first, last, squares, index ? found : NULL);
    for (size_t i = 0; i < (size_t)(last - first) * T3DI_LEAF; i++) {
        uint32_t at = from->order[base + i];
        distance[at] = sqrtf(squares[i]) * unit;
        if (index)
            index[at] = to->order[found[i]];
    }
}

void t3d_nearest_between(const struct t3d_nearest *from, const struct t3d_nearest *to,
                         float *distance, uint32_t *index, int threads)
{
    if (from->n < FEW_POINTS)
        threads = 1;
#pragma omp parallel for num_threads(threads) schedule(dynamic)
    for (uint32_t leaf = 0; leaf < from->n_leaves; leaf += CHUNK_LEAVES)
        ask_chunk(from, to, leaf, distance, index);
}
