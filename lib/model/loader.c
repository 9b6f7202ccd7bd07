/* SPDX-License-Identifier: Apache-2.0 */
#include "model/loader.h"

#include <pthread.h>

#include "base/clock.h"
#include "base/rng.h"
#include "image/image.h"
#include "image/resize.h"
#include "model/loader_impl.h"

enum { DEPTH = 3, ATTEMPTS = 16, TAR_BLOCK = 512, CHANNELS = 4 };
#define CACHE_BYTES ((size_t)256 << 20)
#define NO_DEPTH    65535
#define NO_AREA     1e-6 /* of a source pixel: what rounding leaves at a border */

/* A batch being filled: slots are taken in order by the threads. */
struct filling {
    struct t3d_batch b;
    uint8_t *pixels;
    uint16_t *depth; /* NULL: none */
    int *view;
    struct t3d_caption *caption;
    uint32_t *sample;
    int taken, done;
};

struct worker {
    struct t3d_loader *loader;
    struct t3d_arena scratch;
    uint8_t *reduced; /* a view before its reduction is undone from alpha */
    pthread_t thread;
    int started;
};

struct t3d_loader {
    struct t3di_index index;
    struct t3d_arena arena;
    uint64_t seed;
    int batch, views, fixed, turn, side, n_workers, need_depth;
    const int *view;
    struct worker *worker;
    struct filling filling[DEPTH];

    pthread_mutex_t lock;
    pthread_cond_t work, ready;
    int64_t want;    /* step that next hands out */
    int64_t planned; /* first step that no filling has */
    int handed;      /* filling that the caller looks at, -1 = none */
    int stop, paused;
    struct t3d_err err; /* of a slot that could not be filled */
    uint64_t skipped;
    struct t3d_err last;

    pthread_mutex_t order_lock;
    struct t3di_neighbours *neighbours; /* NULL: any order */

    pthread_mutex_t cache_lock;
    uint32_t *cached; /* (n_cache) picture + 1 */
    uint8_t *cache;   /* (n_cache, view_bytes): pixels, then depth */
    size_t n_cache;
};

/* --- order ----------------------------------------------------------------------------------- */

/* A Feistel network of four rounds over 2 * half bits, walked until the value is below n (Black and
 * Rogaway, "Ciphers with Arbitrary Finite Domains", 2002, section 4): a permutation without a
 * table. */
uint64_t t3d_loader_order(uint64_t seed, uint64_t epoch, uint64_t n, uint64_t i)
{
    struct t3d_rng r = t3d_rng_for(seed, "epoch", epoch);
    uint32_t key[2] = {t3d_rng_u32(&r), t3d_rng_u32(&r)}, out[4];
    int half = 1;

    while (half < 32 && n > (uint64_t)1 << 2 * half)
        half++;
    do {
        uint64_t mask = ((uint64_t)1 << half) - 1, a = i >> half, b = i & mask;
        for (uint32_t round = 0; round < 4; round++) {
            uint32_t counter[4] = {(uint32_t)b, (uint32_t)(b >> 32), round, 0};
            uint64_t next;
            t3d_philox(counter, key, out);
            next = a ^ (((uint64_t)out[1] << 32 | out[0]) & mask);
            a = b;
            b = next;
        }
        i = a << half | b;
    } while (i >= n);
    return i;
}

/* --- pictures -------------------------------------------------------------------------------- */

/* Premultiplied on the way down, so that what lies under alpha 0 does not bleed in. */
static int reduce(uint8_t *out, uint32_t side, uint8_t *in, const struct t3d_image_info *info,
                  struct t3d_arena *a, struct t3d_err *err)
{
    size_t n = (size_t)info->width * info->height, m = (size_t)side * side;
    int whole = info->width % side == 0 && info->height % side == 0, r;

    for (size_t i = 0; i < n; i++)
        for (int k = 0; k < 3; k++)
            in[4 * i + (size_t)k] = (uint8_t)((in[4 * i + (size_t)k] * in[4 * i + 3] + 127) / 255);
    r = t3d_resize(out, side, side, in, info->width, info->height, CHANNELS,
                   whole ? T3D_FILTER_BOX : T3D_FILTER_BICUBIC, a, err);
    for (size_t i = 0; i < m && r == T3D_OK; i++) {
        unsigned alpha = out[4 * i + 3];
        for (size_t k = 0; k < 3 && alpha; k++)
            out[4 * i + k] = (uint8_t)T3D_MIN((out[4 * i + k] * 255 + alpha / 2) / alpha, 255);
    }
    return r;
}

/* The mean code of the source pixels below each pixel that have one, by area; 65535 = none has. */
static void reduce_depth(uint16_t *out, int side, const uint16_t *in, uint32_t from)
{
    double step = (double)from / side;

    for (int y = 0; y < side; y++)
        for (int x = 0; x < side; x++) {
            double top = y * step, left = x * step, sum = 0, area = 0;

            for (uint32_t v = (uint32_t)top; v < from && v < top + step; v++)
                for (uint32_t u = (uint32_t)left; u < from && u < left + step; u++) {
                    double part = (T3D_MIN(v + 1, top + step) - T3D_MAX(v, top)) *
                                  (T3D_MIN(u + 1, left + step) - T3D_MAX(u, left));
                    uint16_t code = in[(size_t)v * from + u];

                    sum += code == NO_DEPTH ? 0 : part * code;
                    area += code == NO_DEPTH ? 0 : part;
                }
            out[y * side + x] = area > NO_AREA ? (uint16_t)(sum / area + 0.5) : NO_DEPTH;
        }
}

/* The member of the shard with this name. */
static int check_member(const struct t3di_picture *p, const char *name, struct t3d_err *err)
{
    if (memcmp(p->data - TAR_BLOCK, name, strlen(name) + 1) != 0)
        return t3d_err_set(err, T3D_SKIP, "bad-index", "the index of '%s' is not that of its shard",
                           name);
    return T3D_OK;
}

static int decode_depth(struct worker *w, const struct t3di_sample *s, uint32_t number,
                        uint16_t *out, struct t3d_err *err)
{
    const struct t3d_loader *l = w->loader;
    const struct t3di_picture *p = &l->index.depth[s->first_depth + number];
    struct t3d_image_info info;
    char name[64];
    uint16_t *codes;
    int r;

    snprintf(name, sizeof name, "%s.v%0*u.depth.png", s->key, l->index.digits, number);
    r = check_member(p, name, err);
    if (r == T3D_OK)
        r = t3d_image_decode_grey16(&info, &codes, &w->scratch, p->data, p->size, err);
    if (r == T3D_OK && (info.width != info.height || (int)info.width < l->side))
        r = t3d_err_set(err, T3D_SKIP, "bad-image", "the picture is not square, or too small");
    if (r == T3D_OK)
        reduce_depth(out, l->side, codes, info.width);
    t3d_arena_reset(&w->scratch);
    return r < 0 ? t3d_err_prefix(err, "%s", name) : r;
}

static int decode(struct worker *w, const struct t3di_sample *s, uint32_t number, uint8_t *out,
                  struct t3d_err *err)
{
    const struct t3d_loader *l = w->loader;
    const struct t3di_picture *p = &l->index.picture[s->first_view + number];
    struct t3d_image_info info;
    char name[64];
    uint8_t *pixels;
    int r;

    snprintf(name, sizeof name, "%s.v%0*u.png", s->key, l->index.digits, number);
    r = check_member(p, name, err);
    if (r == T3D_OK)
        r = t3d_image_decode(&info, &pixels, &w->scratch, p->data, p->size, err);
    if (r == T3D_OK && info.width != info.height)
        r = t3d_err_set(err, T3D_SKIP, "bad-image", "the picture is not square");
    if (r == T3D_OK && (int)info.width == l->side)
        memcpy(out, pixels, (size_t)l->side * (size_t)l->side * CHANNELS);
    else if (r == T3D_OK)
        r = reduce(out, (uint32_t)l->side, pixels, &info, &w->scratch, err);
    t3d_arena_reset(&w->scratch);
    return r < 0 ? t3d_err_prefix(err, "%s", name) : r;
}

static size_t color_bytes(const struct t3d_loader *l)
{
    return (size_t)l->side * (size_t)l->side * CHANNELS;
}

static size_t depth_bytes(const struct t3d_loader *l)
{
    return l->need_depth ? (size_t)l->side * (size_t)l->side * sizeof(uint16_t) : 0;
}

/* depth: NULL where none is handed out. */
static int read_view(struct worker *w, const struct t3di_sample *s, uint32_t number, uint8_t *out,
                     uint16_t *depth, struct t3d_err *err)
{
    struct t3d_loader *l = w->loader;
    size_t bytes = color_bytes(l), more = depth_bytes(l);
    uint32_t id = s->first_view + number;
    size_t place = l->n_cache ? id % l->n_cache : 0;
    int hit = 0, r;

    pthread_mutex_lock(&l->cache_lock);
    if (l->n_cache && l->cached[place] == id + 1) {
        memcpy(out, l->cache + place * (bytes + more), bytes);
        if (depth)
            memcpy(depth, l->cache + place * (bytes + more) + bytes, more);
        hit = 1;
    }
    pthread_mutex_unlock(&l->cache_lock);
    if (hit)
        return T3D_OK;
    r = decode(w, s, number, out, err);
    if (r == T3D_OK && depth)
        r = decode_depth(w, s, number, depth, err);
    if (r < 0 || !l->n_cache)
        return r;
    pthread_mutex_lock(&l->cache_lock);
    memcpy(l->cache + place * (bytes + more), out, bytes);
    if (depth)
        memcpy(l->cache + place * (bytes + more) + bytes, depth, more);
    l->cached[place] = id + 1;
    pthread_mutex_unlock(&l->cache_lock);
    return r;
}

/* --- slots ----------------------------------------------------------------------------------- */

static int draw_views(const struct t3d_loader *l, const struct t3di_sample *s, struct t3d_rng *r,
                      int *view, struct t3d_err *err)
{
    int turn = l->turn > 1 ? (int)t3d_rng_below(r, (uint32_t)l->turn) : 0;

    for (int i = 0; i < l->views; i++) {
        int again;

        view[i] = i < l->fixed ? l->view[i] + turn : (int)t3d_rng_below(r, s->n_views);
        if (view[i] < 0 || (uint32_t)view[i] >= s->n_views || s->torn)
            return t3d_err_set(err, T3D_SKIP, "missing-view", "%s has no view %d", s->key, view[i]);
        do { /* the next one that is not taken yet */
            again = 0;
            for (int k = 0; k < i && i >= l->fixed; k++)
                again |= view[k] == view[i];
            if (again)
                view[i] = (view[i] + 1) % (int)s->n_views;
        } while (again);
    }
    return T3D_OK;
}

/* The group at a position: epochs of rounds, a round over the groups that have more samples than
 * rounds were before it. */
static uint32_t group_at(struct t3d_loader *l, uint64_t position)
{
    const struct t3di_index *x = &l->index;
    uint64_t epoch = position / x->round_at[x->n_rounds], i = position % x->round_at[x->n_rounds];
    size_t low = 0, high = x->n_rounds;
    uint64_t round, n;

    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (x->round_at[middle] <= i)
            low = middle;
        else
            high = middle;
    }
    round = epoch * x->n_rounds + low;
    n = x->round_at[low + 1] - x->round_at[low];
    i -= x->round_at[low];
    if (!l->neighbours)
        return x->by_size[t3d_loader_order(l->seed, round, n, i)];
    pthread_mutex_lock(&l->order_lock);
    i = t3di_neighbours_at(l->neighbours, round, n, i);
    pthread_mutex_unlock(&l->order_lock);
    return x->by_size[i];
}

static int draw(struct worker *w, struct filling *f, int slot, uint64_t position, int attempt,
                struct t3d_err *err)
{
    struct t3d_loader *l = w->loader;
    struct t3d_rng r =
        t3d_rng_for(l->seed, attempt ? "again" : "sample", position * ATTEMPTS + (uint64_t)attempt);
    uint32_t g = attempt ? t3d_rng_below(&r, (uint32_t)l->index.n_groups) : group_at(l, position);
    uint32_t first = l->index.group_first[g];
    uint32_t sample = first + t3d_rng_below(&r, l->index.group_first[g + 1] - first);
    const struct t3di_sample *s = &l->index.sample[sample];
    size_t view = (size_t)slot * (size_t)l->views, n_captions;
    size_t n = (size_t)l->side * (size_t)l->side;
    int status;

    t3di_caption(s, 0, &n_captions);
    f->sample[slot] = sample;
    f->caption[slot] = (struct t3d_caption){0};
    if (n_captions)
        f->caption[slot] = t3di_caption(s, t3d_rng_below(&r, (uint32_t)n_captions), &n_captions);
    status = draw_views(l, s, &r, f->view + view, err);
    for (int i = 0; i < l->views && status == T3D_OK; i++, view++)
        status = read_view(w, s, (uint32_t)f->view[view], f->pixels + view * n * CHANNELS,
                           f->depth ? f->depth + view * n : NULL, err);
    return status;
}

static void fill_slot(struct worker *w, struct filling *f, int slot)
{
    struct t3d_loader *l = w->loader;
    uint64_t position = (uint64_t)f->b.step * (uint64_t)l->batch + (uint64_t)slot;
    struct t3d_err err;
    int r = T3D_SKIP;

    for (int i = 0; i < ATTEMPTS && r == T3D_SKIP; i++) {
        r = draw(w, f, slot, position, i, &err);
        if (r == T3D_OK)
            return;
        pthread_mutex_lock(&l->lock);
        l->skipped++;
        l->last = err;
        pthread_mutex_unlock(&l->lock);
    }
    pthread_mutex_lock(&l->lock);
    l->err = err;
    l->err.code = r == T3D_SKIP ? T3D_FAIL : r;
    pthread_mutex_unlock(&l->lock);
}

/* --- threads --------------------------------------------------------------------------------- */

/* The earliest batch with a slot that nobody has taken. */
static struct filling *next_work(struct t3d_loader *l)
{
    struct filling *best = NULL;

    for (int i = 0; i < DEPTH; i++) {
        struct filling *f = &l->filling[i];
        if (f->taken < l->batch && (!best || f->b.step < best->b.step))
            best = f;
    }
    return best;
}

static void *run_worker(void *arg)
{
    struct worker *w = arg;
    struct t3d_loader *l = w->loader;

    pthread_mutex_lock(&l->lock);
    while (!l->stop) {
        struct filling *f = l->paused ? NULL : next_work(l);
        int slot;

        if (!f) {
            pthread_cond_wait(&l->work, &l->lock);
            continue;
        }
        slot = f->taken++;
        pthread_mutex_unlock(&l->lock);
        fill_slot(w, f, slot);
        pthread_mutex_lock(&l->lock);
        if (++f->done == f->taken)
            pthread_cond_signal(&l->ready);
    }
    pthread_mutex_unlock(&l->lock);
    return NULL;
}

static int start(struct t3d_loader *l, struct t3d_err *err)
{
    for (int i = 0; i < l->n_workers; i++) {
        l->worker[i].loader = l;
        if (pthread_create(&l->worker[i].thread, NULL, run_worker, &l->worker[i]) != 0)
            return i ? T3D_OK : t3d_err_set(err, T3D_FAIL, "system", "cannot start a thread");
        l->worker[i].started = 1;
    }
    return T3D_OK;
}

void t3d_loader_seek(struct t3d_loader *l, int64_t step)
{
    pthread_mutex_lock(&l->lock);
    l->paused = 1;
    for (int i = 0; i < DEPTH; i++)
        while (l->filling[i].done < l->filling[i].taken)
            pthread_cond_wait(&l->ready, &l->lock);
    for (int i = 0; i < DEPTH; i++) {
        l->filling[i].b.step = step + i;
        l->filling[i].taken = l->filling[i].done = 0;
    }
    l->want = step;
    l->planned = step + DEPTH;
    l->handed = -1;
    l->paused = 0;
    pthread_cond_broadcast(&l->work);
    pthread_mutex_unlock(&l->lock);
}

int t3d_loader_next(struct t3d_loader *l, const struct t3d_batch **b, struct t3d_err *err)
{
    int r = T3D_OK, i = 0;

    pthread_mutex_lock(&l->lock);
    if (l->handed >= 0) {
        struct filling *f = &l->filling[l->handed];
        f->b.step = l->planned++;
        f->taken = f->done = 0;
        pthread_cond_broadcast(&l->work);
    }
    while (l->filling[i].b.step != l->want)
        i++;
    while (l->filling[i].done < l->batch)
        pthread_cond_wait(&l->ready, &l->lock);
    if (l->err.code) {
        r = l->err.code;
        if (err)
            *err = l->err;
    }
    l->handed = i;
    l->want++;
    *b = &l->filling[i].b;
    pthread_mutex_unlock(&l->lock);
    return r < 0 ? t3d_err_prefix(err, "no readable sample after %d attempts", ATTEMPTS) : r;
}

int t3d_loader_at(struct t3d_loader *l, int64_t step, const struct t3d_batch **b, double *waited_s,
                  struct t3d_err *err)
{
    double begin = t3d_clock_s();
    int r;

    if (step != l->want) /* which no other thread changes */
        t3d_loader_seek(l, step);
    r = t3d_loader_next(l, b, err);
    *waited_s += t3d_clock_s() - begin;
    return r;
}

/* --- open and close -------------------------------------------------------------------------- */

static int make_filling(struct t3d_loader *l, struct filling *f)
{
    size_t n = (size_t)l->batch, views = n * (size_t)l->views;

    f->pixels = t3d_alloc(&l->arena, views, color_bytes(l));
    f->depth = l->need_depth ? t3d_alloc(&l->arena, views, depth_bytes(l)) : NULL;
    f->view = t3d_alloc(&l->arena, views, sizeof *f->view);
    f->caption = t3d_alloc(&l->arena, n, sizeof *f->caption);
    f->sample = t3d_alloc(&l->arena, n, sizeof *f->sample);
    f->b = (struct t3d_batch){.n = l->batch,
                              .views = l->views,
                              .side = l->side,
                              .pixels = f->pixels,
                              .depth = f->depth,
                              .view = f->view,
                              .caption = f->caption,
                              .sample = f->sample};
    return f->pixels && (f->depth || !l->need_depth) && f->view && f->caption && f->sample ? 0 : -1;
}

static int make_memory(struct t3d_loader *l, const struct t3d_loader_config *c)
{
    size_t bytes = color_bytes(l) + depth_bytes(l);

    for (int i = 0; i < DEPTH; i++)
        if (make_filling(l, &l->filling[i]) < 0)
            return -1;
    l->n_cache =
        T3D_MIN((c->cache_bytes ? c->cache_bytes : CACHE_BYTES) / bytes, l->index.n_pictures);
    if (l->n_cache) {
        l->cached = calloc(l->n_cache, sizeof *l->cached);
        l->cache = malloc(l->n_cache * bytes); /* touched as it fills */
    }
    l->worker = t3d_alloc(&l->arena, (size_t)l->n_workers, sizeof *l->worker);
    return l->worker && (!l->n_cache || (l->cached && l->cache)) ? 0 : -1;
}

static int check_config(const struct t3d_loader_config *c, struct t3d_err *err)
{
    if (c->batch < 1 || c->views < 1 || c->resolution < 8 || c->resolution > 4096)
        return t3d_err_set(err, T3D_USAGE, "usage",
                           "a batch of %d samples with %d views of %u pixels cannot be read",
                           c->batch, c->views, c->resolution);
    return T3D_OK;
}

int t3d_loader_open(struct t3d_loader **out, const struct t3d_loader_config *c, struct t3d_err *err)
{
    struct t3d_loader *l;
    int r = check_config(c, err);

    *out = NULL;
    if (r < 0)
        return r;
    l = calloc(1, sizeof *l);
    if (!l)
        return t3d_err_nomem(err, "the loader");
    pthread_mutex_init(&l->lock, NULL);
    pthread_mutex_init(&l->cache_lock, NULL);
    pthread_mutex_init(&l->order_lock, NULL);
    pthread_cond_init(&l->work, NULL);
    pthread_cond_init(&l->ready, NULL);
    l->seed = c->seed;
    l->batch = c->batch;
    l->views = c->views;
    l->view = c->view;
    l->fixed = c->fixed;
    l->turn = c->turn;
    l->need_depth = c->need_depth;
    l->side = (int)c->resolution;
    l->n_workers = T3D_MAX(c->threads, 1);
    l->handed = -1;
    r = t3di_index_open(&l->index, c, err);
    if (r == T3D_OK && l->index.n_views < c->views)
        r = t3d_err_set(err, T3D_USAGE, "usage", "'%s' has %d views, not %d", l->index.dir,
                        l->index.n_views, c->views);
    if (r == T3D_OK && make_memory(l, c) < 0)
        r = t3d_err_nomem(err, "the batches");
    if (r == T3D_OK && c->neighbours > 1)
        r = t3di_neighbours_new(&l->neighbours, &l->index, c->seed, c->neighbours, err);
    if (r == T3D_OK) {
        t3d_loader_seek(l, 0);
        r = start(l, err);
    }
    if (r < 0) {
        t3d_loader_close(l);
        return r;
    }
    *out = l;
    return T3D_OK;
}

void t3d_loader_close(struct t3d_loader *l)
{
    if (!l)
        return;
    pthread_mutex_lock(&l->lock);
    l->stop = 1;
    pthread_cond_broadcast(&l->work);
    pthread_mutex_unlock(&l->lock);
    for (int i = 0; l->worker && i < l->n_workers; i++) {
        if (l->worker[i].started)
            pthread_join(l->worker[i].thread, NULL);
        t3d_arena_free(&l->worker[i].scratch);
    }
    pthread_mutex_destroy(&l->lock);
    pthread_mutex_destroy(&l->cache_lock);
    pthread_mutex_destroy(&l->order_lock);
    pthread_cond_destroy(&l->work);
    pthread_cond_destroy(&l->ready);
    free(l->cached);
    free(l->cache);
    t3di_neighbours_free(l->neighbours);
    t3di_index_close(&l->index);
    t3d_arena_free(&l->arena);
    free(l);
}

/* --- questions ------------------------------------------------------------------------------- */

size_t t3d_loader_samples(const struct t3d_loader *l)
{
    return l->index.n_samples;
}

size_t t3d_loader_groups(const struct t3d_loader *l)
{
    return l->index.n_groups;
}

int t3d_loader_set_views(const struct t3d_loader *l)
{
    return l->index.n_views;
}

uint32_t t3d_loader_source(const struct t3d_loader *l)
{
    return l->index.resolution;
}

uint32_t t3d_loader_group(const struct t3d_loader *l, uint32_t sample)
{
    return l->index.sample[sample].group;
}

size_t t3d_loader_captions(const struct t3d_loader *l, uint32_t sample)
{
    size_t n;

    t3di_caption(&l->index.sample[sample], 0, &n);
    return n;
}

struct t3d_caption t3d_loader_caption(const struct t3d_loader *l, uint32_t sample, size_t i)
{
    size_t n;

    return t3di_caption(&l->index.sample[sample], i, &n);
}

const char *t3d_loader_hash(const struct t3d_loader *l)
{
    return l->index.hash;
}

uint64_t t3d_loader_skipped(const struct t3d_loader *l, struct t3d_err *last)
{
    struct t3d_loader *m = (struct t3d_loader *)l;
    uint64_t n;

    pthread_mutex_lock(&m->lock);
    n = m->skipped;
    if (last)
        *last = m->last;
    pthread_mutex_unlock(&m->lock);
    return n;
}
