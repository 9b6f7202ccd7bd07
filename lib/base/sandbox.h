/* SPDX-License-Identifier: Apache-2.0 */
/* base/sandbox.h -- run one function on hostile bytes in a process that can do nothing else.
 *
 *     struct t3d_sandbox_options o = {.run = parse, .memory_bytes = 4ull << 30, .wall_s = 60};
 *     t3d_sandbox_open(&sb, threads, &o, err);              before threads and large memory
 *     t3d_sandbox_send(sb, slot, &request, sizeof request, fds, 2, err);
 *     while ((r = t3d_sandbox_receive(sb, slot, &query, sizeof query, &n, err)) == T3D_OK)
 *         ... answer the child's question by t3d_sandbox_send ...
 *     r == T3D_END: the request is served; else the child is gone and *err says how it died
 *
 * Processes. t3d_sandbox_open forks a small "mother"; she forks one zygote for a slot when the slot
 * is first used, and a new one when a zygote is lost, so the caller's large process is never forked
 * again. A zygote has one child, and forks the next one as soon as that is gone: it takes its
 * limits and its filter, then waits for a request. All of them end when the caller's process ends,
 * however it ends, and none hears a terminal's ^C or a batch system's SIGTERM: those are for the
 * caller.
 *
 * A child serves up to T3D_SANDBOX_REQUESTS requests. It is killed and replaced at once after one
 * that failed, died or came too late, one that the caller refused (t3d_sandbox_retire), and when it
 * says that it has grown. So what a hostile request can reach is its own answer and those of the
 * requests after it in the same child; the caller must therefore never read memory that the child
 * can still write: let it write into a fresh memfd, and map or copy that only when it bears
 * F_SEAL_WRITE. Where the kernel refuses seccomp each child serves one request.
 *
 * The child has: the descriptors of its messages (closed after each request), one socket to the
 * caller, /dev/null as 0, 1 and 2; no signal handler, no environment of use, no way to open,
 * connect, fork or exec. Address space, CPU time, file size, descriptors and core size are limited;
 * wall clock is kept by the caller, for each request. Anything outside the list of sandbox_filter.c
 * kills the child.
 *
 * Under AddressSanitizer the address space is not limited, and a forbidden call fails with EPERM
 * instead of killing, because the sanitizer asks the system more than the program does. */
#ifndef T3D_BASE_SANDBOX_H
#define T3D_BASE_SANDBOX_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct t3d_sandbox;

enum {
    T3D_SANDBOX_MESSAGE = 4096, /* largest message, either way */
    T3D_SANDBOX_FDS = 2,        /* most descriptors with one message, to the child only */
    /* A fresh child costs about 0.5 ms of CPU time: 0.015 ms for each of 32 requests, which is
     * below what a request costs anyway. More would save little and widen what one request can
     * reach. */
    T3D_SANDBOX_REQUESTS = 32
};

/* Runs in the child, once for each request, which it receives first. 0 = the answer is complete:
 * all memory that the caller will read is unmapped here. Anything else ends the child with that
 * status. What it keeps in *ctx lasts to the child's next request and is seen by nobody else. */
struct t3d_sandbox_child;
typedef int t3d_sandbox_main(struct t3d_sandbox_child *c, void *ctx);

struct t3d_sandbox_options {
    t3d_sandbox_main *run;
    /* Runs once in each zygote of a slot, before its first child: what its children need and could
     * not get themselves, such as a library that only they use. No filter is in force yet, and no
     * hostile byte has been seen. May be NULL. */
    void (*prepare)(void *ctx, int slot);
    void *ctx;             /* as it is at t3d_sandbox_open: later changes are not seen */
    uint64_t memory_bytes; /* more address space than the mother has; 0 = no limit */
    uint64_t file_bytes;   /* largest file that the child can grow; 0 = no limit */
    /* Of one request; 0 = no limit. CPU time is counted over the child's life, which ends after a
     * request that brings it above cpu_s / 8; a request is stopped between cpu_s and 9/8 cpu_s,
     * rounded up to whole seconds. */
    double cpu_s, wall_s;
};

/* T3D_FAIL when processes or sockets cannot be made. slots: one for each thread that will call. */
int t3d_sandbox_open(struct t3d_sandbox **sb, int slots, const struct t3d_sandbox_options *o,
                     struct t3d_err *err) T3D_MUST_CHECK;
void t3d_sandbox_close(struct t3d_sandbox *sb);

/* 1 when the seccomp filter is in force, 0 when the kernel refuses it and only the limits hold. */
int t3d_sandbox_has_seccomp(const struct t3d_sandbox *sb);

/* Send a message to the slot's child; the first one starts a request and its clock. One thread at a
 * time for a slot. A request whose child is killed from outside before it takes it goes to the next
 * child, once. T3D_FAIL when no child can be made. */
int t3d_sandbox_send(struct t3d_sandbox *sb, int slot, const void *msg, size_t n, const int *fds,
                     int n_fds, struct t3d_err *err) T3D_MUST_CHECK;

/* Wait for a message of the child (T3D_OK) or the end: T3D_END after a return of 0, else T3D_SKIP
 * "parser-crashed" (err->value = the signal), "parser-timeout" or "parser-memory". */
int t3d_sandbox_receive(struct t3d_sandbox *sb, int slot, void *msg, size_t capacity, size_t *n,
                        struct t3d_err *err) T3D_MUST_CHECK;

/* Replace the slot's child before the next request: what it gave for the last one was an error or
 * cannot be believed. Returns at once; the next request waits if need be. */
void t3d_sandbox_retire(struct t3d_sandbox *sb, int slot);

/* Kill the child of a request under way, and wait until it is gone. */
void t3d_sandbox_abandon(struct t3d_sandbox *sb, int slot);

/* In the child. Receive waits; it gives the size of the message, or -1. Descriptors that did not
 * come are -1. */
long t3d_sandbox_child_receive(struct t3d_sandbox_child *c, void *msg, size_t capacity,
                               int fds[T3D_SANDBOX_FDS]);
int t3d_sandbox_child_send(struct t3d_sandbox_child *c, const void *msg, size_t n);
/* A received descriptor is not needed any more; the rest is closed after the request. */
void t3d_sandbox_child_close(struct t3d_sandbox_child *c, int fd);
/* This request is the child's last: its memory has grown. */
void t3d_sandbox_child_retire(struct t3d_sandbox_child *c);

/* The exit status that means "out of memory" to t3d_sandbox_receive. */
enum { T3D_SANDBOX_NO_MEMORY = 77 };

/* "libseccomp 2.5.4", for `t3d version`. */
const char *t3d_sandbox_libraries(void);

#endif
