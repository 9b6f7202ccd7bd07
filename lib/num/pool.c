/* SPDX-License-Identifier: Apache-2.0 */
#include "num/pool_impl.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "num/graph_impl.h"

struct entry {
    struct entry *next;
    const void *source;
    int64_t key[T3DI_PACK_KEY];
    size_t bytes;
    void *data;
    void (*release)(void *memory);
};

struct mapping {
    struct mapping *next;
    const char *begin, *end;
};

struct t3d_pool {
    pthread_mutex_t lock; /* graphs may be built by several threads at once */
    int users;
    struct entry *entries;
    struct mapping *mappings;
    size_t bytes;
};

struct t3d_pool *t3d_pool_new(void)
{
    struct t3d_pool *p = calloc(1, sizeof *p);

    if (p && pthread_mutex_init(&p->lock, NULL) != 0) {
        free(p);
        p = NULL;
    }
    if (p)
        p->users = 1;
    return p;
}

void t3di_pool_retain(struct t3d_pool *p)
{
    pthread_mutex_lock(&p->lock);
    p->users++;
    pthread_mutex_unlock(&p->lock);
}

static void destroy(struct t3d_pool *p)
{
    for (struct entry *e = p->entries, *next; e; e = next) {
        next = e->next;
        e->release(e->data);
        free(e);
    }
    for (struct mapping *m = p->mappings, *next; m; m = next) {
        next = m->next;
        free(m);
    }
    pthread_mutex_destroy(&p->lock);
    free(p);
}

void t3d_pool_free(struct t3d_pool *p)
{
    int users;

    if (!p)
        return;
    pthread_mutex_lock(&p->lock);
    users = --p->users;
    pthread_mutex_unlock(&p->lock);
    if (users == 0)
        destroy(p);
}

size_t t3d_pool_bytes(struct t3d_pool *p)
{
    size_t bytes;

    pthread_mutex_lock(&p->lock);
    bytes = p->bytes;
    pthread_mutex_unlock(&p->lock);
    return bytes;
}

int t3d_pool_add_mapping(struct t3d_pool *p, const void *begin, size_t bytes)
{
    struct mapping *m = calloc(1, sizeof *m);

    if (!m)
        return T3D_FAIL;
    m->begin = begin;
    m->end = m->begin + bytes;
    pthread_mutex_lock(&p->lock);
    m->next = p->mappings;
    p->mappings = m;
    pthread_mutex_unlock(&p->lock);
    return T3D_OK;
}

/* Let the pages go that hold nothing but the source. */
static void drop_source(const struct t3d_pool *p, const struct t3di_pack *pack)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t from = ((uintptr_t)pack->source + page - 1) / page * page;
    uintptr_t to = ((uintptr_t)pack->source + pack->source_bytes) / page * page;

    for (const struct mapping *m = p->mappings; m; m = m->next)
        if (from < to && (uintptr_t)m->begin <= from && to <= (uintptr_t)m->end)
            madvise((void *)from, to - from, MADV_DONTNEED); /* only a wish */
}

static struct entry *find(const struct t3d_pool *p, const struct t3di_pack *pack)
{
    for (struct entry *e = p->entries; e; e = e->next)
        if (e->source == pack->source && memcmp(e->key, pack->key, sizeof e->key) == 0)
            return e;
    return NULL;
}

static void *host_alloc(size_t bytes)
{
    return t3di_block(bytes);
}

static struct entry *add(struct t3d_pool *p, const struct t3di_pack *pack, struct t3d_err *err)
{
    struct entry *e = calloc(1, sizeof *e);

    if (e)
        e->data = (pack->alloc ? pack->alloc : host_alloc)(pack->bytes);
    if (!e || !e->data) {
        free(e);
        t3d_err_nomem(err, "packed weights");
        return NULL;
    }
    e->release = pack->release ? pack->release : free;
    if (pack->fill(e->data, pack, err) < 0) {
        e->release(e->data);
        free(e);
        return NULL;
    }
    e->source = pack->source;
    memcpy(e->key, pack->key, sizeof e->key);
    e->bytes = pack->bytes;
    e->next = p->entries;
    p->entries = e;
    p->bytes += e->bytes;
    drop_source(p, pack);
    return e;
}

const void *t3di_pool_pack(struct t3d_call *c, const struct t3di_pack *pack, struct t3d_err *err)
{
    struct t3d_pool *p = c->pool;
    struct entry *e;
    int there;

    pthread_mutex_lock(&p->lock);
    e = find(p, pack);
    there = e != NULL;
    if (!there)
        e = add(p, pack, err);
    pthread_mutex_unlock(&p->lock);
    if (!e)
        return NULL;
    c->state_bytes += e->bytes;
    c->shared_bytes += there ? e->bytes : 0;
    return e->data;
}
