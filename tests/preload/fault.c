/* SPDX-License-Identifier: Apache-2.0 */
/* A library for LD_PRELOAD that makes allocations fail.
 *
 *     FAULT_COUNT=FILE    at the end write how many allocations the first process made
 *     FAULT_AT=N          the N-th fails (1 = the first)
 *     FAULT_FROM=N        the N-th and all later ones fail
 *     FAULT_CHILDREN=1    count and fail in the processes that it forks, not in the first
 *
 * Those of libcrypto succeed: OpenSSL 3.0 uses what its failed allocations return (seen in
 * EVP_MD_fetch, when it loads its providers), so such a run would end by a signal, which is the
 * matter of tests/long/crash.t. An allocation is a call of malloc, calloc, realloc,
 * aligned_alloc or posix_memalign, counted from the beginning of main: what constructors of
 * libraries do without memory is not ours. */

#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t n);
void *__libc_memalign(size_t align, size_t n);

static atomic_long calls;
static long at, from;
static int children, is_ready;
static pid_t first;

static long number(const char *name)
{
    const char *s = getenv(name);

    return s ? strtol(s, NULL, 10) : 0;
}

__attribute__((constructor)) static void begin(void)
{
    at = number("FAULT_AT");
    from = number("FAULT_FROM");
    children = (int)number("FAULT_CHILDREN");
    first = getpid();
}

typedef int main_function(int argc, char **argv, char **env);
static main_function *program;

static int counted_main(int argc, char **argv, char **env)
{
    is_ready = 1;
    return program(argc, argv, env);
}

/* The C library's way into a program. */
int __libc_start_main(main_function *m, int argc, char **argv, main_function *init,
                      void (*fini)(void), void (*rtld_fini)(void), void *stack_end);
int __libc_start_main(main_function *m, int argc, char **argv, main_function *init,
                      void (*fini)(void), void (*rtld_fini)(void), void *stack_end)
{
    __typeof__(&__libc_start_main) real = (__typeof__(real))dlsym(RTLD_NEXT, "__libc_start_main");

    program = m;
    return real(counted_main, argc, argv, init, fini, rtld_fini, stack_end);
}

__attribute__((destructor)) static void end(void)
{
    const char *path = getenv("FAULT_COUNT");
    FILE *f = path && getpid() == first ? fopen(path, "we") : NULL;

    if (f) {
        fprintf(f, "%ld\n", atomic_load(&calls));
        fclose(f);
    }
}

static int fails(const void *caller)
{
    Dl_info info;
    long n;

    if (!is_ready || (getpid() == first) == children)
        return 0;
    n = atomic_fetch_add(&calls, 1) + 1;
    if (n != at && !(from && n >= from))
        return 0;
    if (dladdr(caller, &info) && info.dli_fname && strstr(info.dli_fname, "libcrypto"))
        return 0;
    errno = ENOMEM;
    return 1;
}

void *malloc(size_t n)
{
    return fails(__builtin_return_address(0)) ? NULL : __libc_malloc(n);
}

void *calloc(size_t n, size_t size)
{
    return fails(__builtin_return_address(0)) ? NULL : __libc_calloc(n, size);
}

void *realloc(void *p, size_t n)
{
    return fails(__builtin_return_address(0)) ? NULL : __libc_realloc(p, n);
}

void *aligned_alloc(size_t align, size_t n)
{
    return fails(__builtin_return_address(0)) ? NULL : __libc_memalign(align, n);
}

int posix_memalign(void **p, size_t align, size_t n)
{
    *p = fails(__builtin_return_address(0)) ? NULL : __libc_memalign(align, n);
    return *p ? 0 : ENOMEM;
}
