/* SPDX-License-Identifier: Apache-2.0 */
/* The emulated device: fibers, memory that only kernels and copies may touch, and as much of the
 * CUDA runtime as the back end calls. */
#include <cuda_runtime_api.h> /* before emulate.h, whose macros are names of its arguments */
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "tests/cuda/emulate.h"

/* --- fibers ----------------------------------------------------------------------------------- */

enum { THREADS_MOST = 1024, STACK = 64 << 10, WARP_SIZE = 32 };
enum state { READY, AT_BARRIER, AT_SHUFFLE, DONE };

struct fiber {
    struct emulated_thread here;
    enum state state;
    int started;
    jmp_buf at;
    ucontext_t first;
    uint32_t value;
};

static struct fiber fiber[THREADS_MOST];
static unsigned n_fibers, running;
static jmp_buf scheduler;
static void (*body)(const void *);
static const void *body_arg;
struct emulated_thread *emulated;

[[noreturn]] static void stop(const char *what);

void emulate_stop(const char *what)
{
    stop(what);
}

[[noreturn]] static void stop(const char *what)
{
    fprintf(stderr, "emulated device: %s\n", what);
    abort();
}

static void yield(enum state s)
{
    struct fiber *f = &fiber[running];

    f->state = s;
    if (_setjmp(f->at) == 0)
        _longjmp(scheduler, 1);
}

/* A fiber runs one thread after another for ever. */
static void live(void)
{
    for (;;) {
        body(body_arg);
        yield(DONE);
    }
}

static void resume(unsigned i)
{
    static ucontext_t back;
    struct fiber *f = &fiber[i];

    running = i;
    emulated = &f->here;
    f->state = READY;
    if (_setjmp(scheduler) != 0)
        return;
    if (f->started)
        _longjmp(f->at, 1);
    f->started = 1;
    getcontext(&f->first);
    f->first.uc_stack.ss_sp =
        mmap(NULL, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    f->first.uc_stack.ss_size = STACK;
    f->first.uc_link = &back;
    makecontext(&f->first, live, 0);
    setcontext(&f->first);
}

void emulate_barrier(void)
{
    yield(AT_BARRIER);
}

/* Values are put down by all lanes, then read, then all go on: two meetings of the warp. */
uint32_t emulate_shuffle_xor(uint32_t value, int mask)
{
    uint32_t other;

    fiber[running].value = value;
    yield(AT_SHUFFLE);
    other = fiber[running ^ (unsigned)mask].value;
    yield(AT_SHUFFLE);
    return other;
}

uint32_t emulate_ballot(int yes)
{
    uint32_t bits = 0;

    fiber[running].value = yes != 0;
    yield(AT_SHUFFLE);
    for (unsigned i = 0; i < WARP_SIZE; i++)
        bits |= fiber[running / WARP_SIZE * WARP_SIZE + i].value << i;
    yield(AT_SHUFFLE);
    return bits;
}

static int warp_meets(unsigned first)
{
    for (unsigned i = first; i < first + WARP_SIZE; i++)
        if (fiber[i].state != AT_SHUFFLE)
            return 0;
    return 1;
}

static unsigned in_state(enum state s)
{
    unsigned n = 0;

    for (unsigned i = 0; i < n_fibers; i++)
        n += fiber[i].state == s;
    return n;
}

/* Fibers that may run do so, forwards or backwards by turns: a missing barrier shows. */
static int run_ready(int backwards)
{
    int ran = 0;

    for (unsigned k = 0; k < n_fibers; k++) {
        unsigned i = backwards ? n_fibers - 1 - k : k;

        if (fiber[i].state == READY) {
            resume(i);
            ran = 1;
        }
    }
    return ran;
}

static void release_waiting(void)
{
    unsigned done = in_state(DONE), waiting = in_state(AT_BARRIER);
    int any = 0;

    for (unsigned w = 0; w < n_fibers; w += WARP_SIZE)
        if (warp_meets(w)) {
            for (unsigned i = w; i < w + WARP_SIZE; i++)
                fiber[i].state = READY;
            any = 1;
        }
    if (any)
        return;
    if (!waiting || waiting + done != n_fibers)
        stop("a barrier or a shuffle that not all threads reach");
    for (unsigned i = 0; i < n_fibers; i++)
        if (fiber[i].state == AT_BARRIER)
            fiber[i].state = READY;
}

static void run_block(void)
{
    static int turn;

    for (unsigned i = 0; i < n_fibers; i++)
        fiber[i].state = READY;
    turn = !turn;
    for (;;) {
        while (run_ready(turn))
            ;
        if (in_state(DONE) == n_fibers)
            return;
        release_waiting();
    }
}

static void open_memory(int open);

void emulate_launch(dim3 grid, unsigned threads, void (*f)(const void *), const void *arg)
{
    if (threads > THREADS_MOST || threads % WARP_SIZE || !grid.x || grid.y > 65535 ||
        grid.z > 65535)
        stop("a launch of impossible size");
    n_fibers = threads;
    body = f;
    body_arg = arg;
    open_memory(1);
    for (unsigned z = 0; z < grid.z; z++)
        for (unsigned y = 0; y < grid.y; y++)
            for (unsigned x = 0; x < grid.x; x++) {
                for (unsigned i = 0; i < threads; i++) {
                    fiber[i].here.thread = {i, 0, 0};
                    fiber[i].here.block = {x, y, z};
                    fiber[i].here.grid = grid;
                }
                run_block();
            }
    open_memory(0);
}

/* --- memory -------------------------------------------------------------------------------------
 */

/* One range of addresses, closed to the host except during copies and kernels. */
enum { PAGE = 4096 };
static const size_t RANGE = (size_t)1 << 32;
static unsigned char *range;
static size_t used, kept_bytes, open_bytes;
static int waits;
static const int strict = getenv("T3D_EMULATE_STRICT") != NULL;
enum { KEPT = 2 }; /* of one device: room for products, sums */
static int in_use;

static void open_memory(int open)
{
    static int is_open;

    /* Closing costs a system call: after each piece of work, or when the host waits for all. */
    if (!open && !strict && !waits)
        return;
    if (open ? is_open && open_bytes >= used : !is_open)
        return;
    is_open = open;
    open_bytes = open ? (used + (1 << 20) > RANGE ? RANGE : used + (1 << 20)) : open_bytes;
    if (mprotect(range, open_bytes, open ? PROT_READ | PROT_WRITE : PROT_NONE) != 0)
        stop("mprotect");
}

/* Blocks end at a page's end, with a closed page behind them; addresses are not used twice. */
extern "C" cudaError_t cudaMalloc(void **p, size_t bytes)
{
    size_t rounded = (bytes + 255) / 256 * 256, pages = (rounded + PAGE - 1) / PAGE * PAGE;

    if (!range) {
        range = (unsigned char *)mmap(NULL, RANGE, PROT_NONE,
                                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (range == MAP_FAILED)
            stop("mmap");
    }
    if (used + pages > RANGE)
        return cudaErrorMemoryAllocation;
    *p = range + used + pages - rounded;
    used += pages;
    if (++in_use == KEPT)
        kept_bytes = used;
    open_memory(1);
    memset(*p, 0xa5,
           rounded < 1 << 20 ? rounded : 1 << 20); /* the room for products is never read */
    open_memory(0);
    return cudaSuccess;
}

/* When nothing but the first few (a device's own) is in use, the range starts again. */
extern "C" cudaError_t cudaFree(void *p)
{
    if (p && --in_use == KEPT)
        used = kept_bytes;
    return cudaSuccess;
}

extern "C" cudaError_t cudaHostAlloc(void **p, size_t bytes, unsigned flags)
{
    (void)flags;
    *p = malloc(bytes);
    return *p ? cudaSuccess : cudaErrorMemoryAllocation;
}

extern "C" cudaError_t cudaFreeHost(void *p)
{
    free(p);
    return cudaSuccess;
}

static int is_device(const void *p)
{
    return (const unsigned char *)p >= range && (const unsigned char *)p < range + used;
}

extern "C" cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes,
                                       enum cudaMemcpyKind kind, cudaStream_t stream)
{
    (void)stream;
    if (is_device(to) != (kind != cudaMemcpyDeviceToHost) ||
        is_device(from) != (kind != cudaMemcpyHostToDevice))
        stop("a copy between other places than it says");
    open_memory(1);
    memcpy(to, from, bytes);
    open_memory(0);
    return cudaSuccess;
}

extern "C" cudaError_t cudaMemsetAsync(void *p, int byte, size_t bytes, cudaStream_t stream)
{
    (void)stream;
    if (bytes && !is_device(p))
        stop("a fill of host memory");
    open_memory(1);
    memset(p, byte, bytes);
    open_memory(0);
    return cudaSuccess;
}

extern "C" cudaError_t cudaMemset(void *p, int byte, size_t bytes)
{
    return cudaMemsetAsync(p, byte, bytes, NULL);
}

/* For the emulated cuBLASLt. */
extern "C" void emulate_open_memory(int open)
{
    open_memory(open);
}

/* --- the rest of the runtime
 * ----------------------------------------------------------------------- */

extern "C" cudaError_t cudaGetDeviceCount(int *n)
{
    *n = 1;
    return cudaSuccess;
}

extern "C" cudaError_t cudaGetDeviceProperties(struct cudaDeviceProp *p, int device)
{
    memset(p, 0, sizeof *p);
    snprintf(p->name, sizeof p->name, "emulated");
    p->totalGlobalMem = RANGE;
    return device ? cudaErrorInvalidDevice : cudaSuccess;
}

extern "C" cudaError_t cudaDriverGetVersion(int *version)
{
    *version = CUDART_VERSION;
    return cudaSuccess;
}

extern "C" const char *cudaGetErrorString(cudaError_t e)
{
    return e == cudaSuccess ? "no error" : "an error";
}

extern "C" cudaError_t cudaSetDevice(int device)
{
    return device ? cudaErrorInvalidDevice : cudaSuccess;
}

extern "C" cudaError_t cudaGetDevice(int *device)
{
    *device = 0;
    return cudaSuccess;
}

extern "C" cudaError_t cudaDeviceGetAttribute(int *value, enum cudaDeviceAttr which, int device)
{
    (void)which, (void)device;
    *value = 4;
    return cudaSuccess;
}

extern "C" cudaError_t cudaStreamCreateWithFlags(cudaStream_t *s, unsigned flags)
{
    (void)flags;
    *s = (cudaStream_t)&fiber;
    return cudaSuccess;
}

extern "C" cudaError_t cudaStreamDestroy(cudaStream_t s)
{
    (void)s;
    return cudaSuccess;
}

extern "C" cudaError_t cudaStreamSynchronize(cudaStream_t s)
{
    waits = 1;
    open_memory(0);
    waits = 0;
    return s == (cudaStream_t)&fiber ? cudaSuccess : cudaErrorInvalidResourceHandle;
}

extern "C" cudaError_t cudaDeviceSynchronize(void)
{
    return cudaSuccess;
}

extern "C" cudaError_t cudaGetLastError(void)
{
    return cudaSuccess;
}
