/* SPDX-License-Identifier: Apache-2.0 */
/* base/sandbox_impl.h -- what the caller's side, the processes and the filter of the sandbox share.
 */
#ifndef T3D_BASE_SANDBOX_IMPL_H
#define T3D_BASE_SANDBOX_IMPL_H

#include <linux/filter.h>
#include <sys/types.h>

#include "base/sandbox.h"

#if defined(__SANITIZE_ADDRESS__)
#define T3DI_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define T3DI_ASAN 1
#endif
#endif
#ifndef T3DI_ASAN
#define T3DI_ASAN 0
#endif

enum { T3DI_MAX_FDS = 4 };

/* One SOCK_SEQPACKET message; the parts are joined. Return the size or -1 with errno; EINTR is
 * retried. Descriptors arrive close-on-exec, missing ones as -1; a message with too many is
 * refused. */
long t3di_send(int sock, const void *head, size_t n_head, const void *body, size_t n_body,
               const int *fds, int n_fds, int flags);
long t3di_receive(int sock, void *head, size_t n_head, void *body, size_t n_body, int *fds,
                  int n_fds, int flags);

/* Head of each message between caller and child. */
enum t3di_kind { T3DI_REQUEST, T3DI_TALK, T3DI_DONE, T3DI_DONE_LAST };
struct t3di_talk {
    uint32_t request; /* 1 for the first request that the zygote's children get, 2, ... */
    uint32_t kind;
};

/* Zygote to caller, when a child is gone. */
struct t3di_status {
    uint32_t serial;     /* 1 for the first child of a zygote, 2 for the next ... */
    int32_t wait_status; /* of waitpid; -1: it could not be made */
    uint32_t taken;      /* the request that it took last, 0 = none */
};

/* Caller to zygote: kill this child, if it still lives. */
struct t3di_order {
    uint32_t serial;
};

/* Caller to mother: kill this zygote (0 = none) and make one for the slot; she answers with the pid
 * and the two sockets (control, talk), or pid = -errno. */
struct t3di_spawn {
    int32_t pid, slot;
};

/* Mother's first message. */
struct t3di_hello {
    int32_t has_seccomp;
};

/* The life of the mother: never returns. sock = her socket to the caller. */
T3D_NORETURN void t3di_sandbox_mother(int sock, const struct t3d_sandbox_options *o);

/* The filter as BPF; fprog->filter is malloced. 0, or -1. */
int t3di_filter_build(struct sock_fprog *prog);
/* Put it in force for this process (which must have no_new_privs). 0, or -1 with errno. */
int t3di_filter_apply(const struct sock_fprog *prog);

#endif
