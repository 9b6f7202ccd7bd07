/* SPDX-License-Identifier: Apache-2.0 */
/* Devices, their memory and streams. */
#include "num/cuda/context.h"

#include <cuda_runtime_api.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "num/cuda/kernel.h"
#include "num/cuda_impl.h"

enum { MAX_DEVICES = 64, WORKSPACE = 32 << 20 }; /* what cuBLASLt wants on Hopper */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct t3di_cuda *device[MAX_DEVICES];

/* --- devices ------------------------------------------------------------------------------------
 */

int t3di_cuda_count(void)
{
    int n = 0;

    return cudaGetDeviceCount(&n) == cudaSuccess ? n : 0;
}

void t3di_cuda_describe(int index, char *text, size_t n)
{
    struct cudaDeviceProp p;

    if (cudaGetDeviceProperties(&p, index) == cudaSuccess)
        snprintf(text, n, "%s, %.1f GiB, compute %d.%d", p.name,
                 (double)p.totalGlobalMem / (1 << 30), p.major, p.minor);
    else
        snprintf(text, n, "cuda:%d: none", index);
}

int t3di_cuda_check(int index, struct t3d_err *err)
{
    int n = 0, driver = 0;
    cudaError_t e = cudaGetDeviceCount(&n);

    if (e == cudaSuccess && index < n)
        return T3D_OK;
    if (e == cudaSuccess && n)
        return t3d_err_set(err, T3D_USAGE, "no-device",
                           "cuda:%d: there are CUDA devices 0 to %d: use one of them or --device "
                           "cpu",
                           index, n - 1);
    if (cudaDriverGetVersion(&driver) != cudaSuccess || !driver)
        return t3d_err_set(err, T3D_USAGE, "no-device",
                           "cuda:%d: no CUDA device (no driver): use --device cpu", index);
    return t3d_err_set(err, T3D_USAGE, "no-device",
                       "cuda:%d: no CUDA device (driver for CUDA %d.%d: %s): use --device cpu",
                       index, driver / 1000, driver % 1000 / 10, cudaGetErrorString(e));
}

void t3di_cuda_text(char *text, size_t n)
{
    size_t version = t3di_cuda_lt_version();
    int used = snprintf(text, n, "CUDA %d.%d (%s), ", CUDART_VERSION / 1000,
                        CUDART_VERSION % 1000 / 10, T3D_CUDA_TARGETS);

    if (used < 0 || (size_t)used >= n)
        return;
    if (version)
        snprintf(text + used, n - (size_t)used, "cuBLASLt %zu.%zu.%zu%s", version / 10000,
                 version / 100 % 100, version % 100, t3di_cuda_count() ? "" : "; no device");
    else
        snprintf(text + used, n - (size_t)used, "own products (no cuBLASLt)%s",
                 t3di_cuda_count() ? "" : "; no device");
}

/* --- opening -------------------------------------------------------------------------------------
 */

static int ok(cudaError_t e)
{
    return e == cudaSuccess;
}

static void discard(struct t3di_cuda *c)
{
    cudaFree(c->scratch);
    cudaFreeHost(c->check);
    cudaFree(c->workspace);
    if (c->stream)
        cudaStreamDestroy(c->stream);
    free(c);
}

static struct t3di_cuda *make(int index, struct t3d_err *err)
{
    struct t3di_cuda *c = calloc(1, sizeof *c);
    cudaStream_t stream = NULL;

    if (!c) {
        t3d_err_nomem(err, "a CUDA device");
        return NULL;
    }
    c->device = index;
    c->workspace_bytes = WORKSPACE;
    if (!ok(cudaSetDevice(index)) ||
        !ok(cudaDeviceGetAttribute(&c->multiprocessors, cudaDevAttrMultiProcessorCount, index)) ||
        !ok(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking)) ||
        !ok(cudaMalloc(&c->workspace, WORKSPACE)) ||
        !ok(cudaMalloc((void **)&c->scratch, T3DI_CUDA_SCRATCH * sizeof(float))) ||
        !ok(cudaHostAlloc((void **)&c->check, T3DI_CUDA_CHECKS * sizeof *c->check,
                          cudaHostAllocMapped))) {
        c->stream = stream;
        discard(c);
        t3d_err_set(err, T3D_FAIL, "cuda-failed", "cuda:%d: it cannot be used: %s", index,
                    cudaGetErrorString(cudaGetLastError()));
        return NULL;
    }
    c->stream = stream;
    memset(c->check, 0, T3DI_CUDA_CHECKS * sizeof *c->check);
    c->lt = t3di_cuda_lt_new();
    return c;
}

/* A device stays open to the end of the process: its graphs share one stream, so that they may
 * share the room for products. */
static int place_open(int index, void **stream, struct t3d_err *err)
{
    struct t3di_cuda *c;
    int r = index < 0 || index >= MAX_DEVICES
                ? t3d_err_set(err, T3D_USAGE, "no-device", "cuda:%d: no such device", index)
                : t3di_cuda_check(index, err);

    if (r < 0)
        return r;
    pthread_mutex_lock(&lock);
    if (!device[index])
        device[index] = make(index, err);
    c = device[index];
    pthread_mutex_unlock(&lock);
    if (!c)
        return T3D_FAIL;
    *stream = c->stream;
    return ok(cudaSetDevice(index))
               ? T3D_OK
               : t3d_err_set(err, T3D_FAIL, "cuda-failed", "cuda:%d: it cannot be used", index);
}

static void place_select(int index)
{
    cudaSetDevice(index);
}

struct t3di_cuda *t3di_cuda_here(void)
{
    int index = 0;

    cudaGetDevice(&index);
    return device[index];
}

/* --- memory
 * --------------------------------------------------------------------------------------- */

static void *place_alloc(size_t bytes)
{
    void *p = NULL;

    bytes = T3D_MAX(bytes, 64);
    if (!ok(cudaMalloc(&p, bytes))) {
        cudaGetLastError(); /* it is reported by the caller, not by the next look */
        return NULL;
    }
    cudaMemset(p, 0, bytes);
    cudaDeviceSynchronize(); /* our stream does not wait for the default one */
    return p;
}

static void place_release(void *p)
{
    cudaFree(p);
}

static void *place_alloc_host(size_t bytes)
{
    void *p = NULL;

    bytes = T3D_MAX(bytes, 64);
    if (!ok(cudaHostAlloc(&p, bytes, cudaHostAllocDefault))) {
        cudaGetLastError();
        return NULL;
    }
    memset(p, 0, bytes);
    return p;
}

static void place_release_host(void *p)
{
    cudaFreeHost(p);
}

static void place_fill(void *p, int byte, size_t bytes, void *stream)
{
    cudaMemsetAsync(p, byte, bytes, stream);
}

static void place_upload(void *to, const void *from, size_t bytes, void *stream)
{
    cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, stream);
}

static int place_download(void *to, const void *from, size_t bytes, void *stream)
{
    return ok(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost, stream)) &&
           ok(cudaStreamSynchronize(stream));
}

static void place_convert(void *to, enum t3d_storage to_storage, const void *from,
                          enum t3d_storage from_storage, int64_t n, void *stream)
{
    t3di_cuda_copy((struct t3di_dev){to, to_storage == T3D_BF16},
                   (struct t3di_dev){(void *)(uintptr_t)from, from_storage == T3D_BF16}, n, stream);
}

static int place_is_finite(const void *x, enum t3d_storage storage, int64_t n, void *stream)
{
    int *bad = (int *)t3di_cuda_here()->scratch, found = 0;

    cudaMemsetAsync(bad, 0, sizeof *bad, stream);
    t3di_cuda_find_bad((struct t3di_dev){(void *)(uintptr_t)x, storage == T3D_BF16}, n, bad,
                       stream);
    return place_download(&found, bad, sizeof found, stream) && !found;
}

/* --- complaints
 * ------------------------------------------------------------------------------------ */

struct t3di_cuda_check *t3di_cuda_claim(const char *op, int64_t below)
{
    struct t3di_cuda *c = t3di_cuda_here();
    struct t3di_cuda_check *found = NULL;

    pthread_mutex_lock(&lock);
    for (int i = 0; i < T3DI_CUDA_CHECKS && !found; i++)
        if (!c->check[i].used) {
            found = &c->check[i];
            *found = (struct t3di_cuda_check){~0ull, op, below, 1};
        }
    pthread_mutex_unlock(&lock);
    return found;
}

void t3di_cuda_unclaim(void *check)
{
    pthread_mutex_lock(&lock);
    *(struct t3di_cuda_check *)check = (struct t3di_cuda_check){0};
    pthread_mutex_unlock(&lock);
}

static int look(struct t3di_cuda *c, struct t3d_err *err)
{
    for (int i = 0; i < T3DI_CUDA_CHECKS; i++) {
        struct t3di_cuda_check *k = &c->check[i];
        unsigned long long first = k->first;

        if (!k->used || first == ~0ull)
            continue;
        k->first = ~0ull;
        return t3d_err_set(err, T3D_USAGE, "index-out-of-range",
                           "%s: index %lld is %d, not in 0..%lld", k->op, (long long)(first >> 32),
                           (int)(uint32_t)first, (long long)k->below - 1);
    }
    return T3D_OK;
}

static int place_finish(void *stream, struct t3d_err *err)
{
    cudaError_t launch = cudaGetLastError(), ran = cudaStreamSynchronize(stream);

    if (ok(launch) && ok(ran))
        return look(t3di_cuda_here(), err);
    return t3d_err_set(err, T3D_FAIL, "cuda-failed", "the CUDA device has failed: %s",
                       cudaGetErrorString(ok(launch) ? ran : launch));
}

/* --- optimisers
 * ------------------------------------------------------------------------------------- */

static double place_squares(const float *x, int64_t n, void *stream)
{
    float *parts = t3di_cuda_here()->scratch;
    double *sum = (double *)(parts + T3DI_CUDA_PARTS), result = 0;

    t3di_cuda_squares(sum, x, n, parts, stream);
    return place_download(&result, sum, sizeof result, stream) ? result : NAN;
}

static const struct t3di_place place = {.backend = T3D_CUDA,
                                        .open = place_open,
                                        .select = place_select,
                                        .alloc = place_alloc,
                                        .release = place_release,
                                        .alloc_host = place_alloc_host,
                                        .release_host = place_release_host,
                                        .fill = place_fill,
                                        .upload = place_upload,
                                        .download = place_download,
                                        .convert = place_convert,
                                        .is_finite = place_is_finite,
                                        .finish = place_finish,
                                        .adamw = t3di_cuda_adamw,
                                        .squares = place_squares,
                                        .blend = t3di_cuda_blend};

const struct t3di_place *t3di_cuda_place(void)
{
    return &place;
}
