/* SPDX-License-Identifier: Apache-2.0 */
/* The caller's side of base/sandbox.h. */
#include "base/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/sandbox_impl.h"

/* What a zygote may take to kill and bury a child before it counts as lost. */
#define GRACE_S 5.0

struct slot {
    pid_t pid; /* of the zygote, 0 = none yet */
    int control, talk;
    uint32_t serial;  /* of the child that waits or works */
    int active, late; /* a request is under way; it was killed for its time */
    double deadline;  /* on the monotonic clock, 0 = none */
};

struct t3d_sandbox {
    struct t3d_sandbox_options o;
    int n_slots, mother, has_seccomp;
    pid_t mother_pid;
    pthread_mutex_t lock; /* of the mother's socket */
    struct slot *slot;
};

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* --- open and close ----------------------------------------------------------------------------
 */

static int fork_mother(struct t3d_sandbox *sb, struct t3d_err *err)
{
    struct t3di_hello hello;
    int pair[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return t3d_err_sys(err, "cannot make a socket for", "the sandbox");
    sb->mother_pid = fork();
    if (sb->mother_pid == 0) {
        close(pair[0]);
        t3di_sandbox_mother(pair[1], &sb->o);
    }
    close(pair[1]);
    sb->mother = pair[0];
    if (sb->mother_pid < 0)
        return t3d_err_sys(err, "cannot fork a process for", "the sandbox");
    if (t3di_receive(sb->mother, &hello, sizeof hello, NULL, 0, NULL, 0, 0) != (long)sizeof hello)
        return t3d_err_set(err, T3D_FAIL, "sandbox-lost",
                           "the sandbox's first process ended at once");
    sb->has_seccomp = hello.has_seccomp;
    return T3D_OK;
}

int t3d_sandbox_open(struct t3d_sandbox **sb, int slots, const struct t3d_sandbox_options *o,
                     struct t3d_err *err)
{
    struct t3d_sandbox *s = calloc(1, sizeof *s);
    int r = T3D_OK;

    *sb = s;
    if (!s)
        return t3d_err_nomem(err, "the sandbox");
    s->mother = -1;
    s->o = *o;
    pthread_mutex_init(&s->lock, NULL);
    s->slot = calloc((size_t)T3D_MAX(slots, 1), sizeof *s->slot);
    if (!s->slot)
        r = t3d_err_nomem(err, "the sandbox");
    s->n_slots = s->slot ? T3D_MAX(slots, 1) : 0;
    for (int i = 0; i < s->n_slots; i++)
        s->slot[i].control = s->slot[i].talk = -1;
    if (r == T3D_OK)
        r = fork_mother(s, err);
    if (r < 0) {
        t3d_sandbox_close(s);
        *sb = NULL;
    }
    return r;
}

static void close_slot(struct slot *s)
{
    if (s->control >= 0)
        close(s->control);
    if (s->talk >= 0)
        close(s->talk);
    *s = (struct slot){.control = -1, .talk = -1};
}

void t3d_sandbox_close(struct t3d_sandbox *sb)
{
    if (!sb)
        return;
    for (int i = 0; i < sb->n_slots; i++)
        close_slot(&sb->slot[i]);
    if (sb->mother >= 0)
        close(sb->mother);
    while (sb->mother_pid > 0 && waitpid(sb->mother_pid, NULL, 0) < 0 && errno == EINTR)
        ;
    pthread_mutex_destroy(&sb->lock);
    free(sb->slot);
    free(sb);
}

int t3d_sandbox_has_seccomp(const struct t3d_sandbox *sb)
{
    return sb->has_seccomp;
}

/* --- zygotes -------------------------------------------------------------------------------------
 */

/* A new zygote for the slot; the old one, if any, is killed first, and its child dies with it. */
static int spawn(struct t3d_sandbox *sb, struct slot *s, struct t3d_err *err)
{
    struct t3di_spawn order = {s->pid};
    int fds[2] = {-1, -1};
    long n;

    close_slot(s);
    pthread_mutex_lock(&sb->lock);
    n = t3di_send(sb->mother, &order, sizeof order, NULL, 0, NULL, 0);
    if (n >= 0)
        n = t3di_receive(sb->mother, &order, sizeof order, NULL, 0, fds, 2, 0);
    pthread_mutex_unlock(&sb->lock);
    if (n != (long)sizeof order)
        return t3d_err_set(err, T3D_FAIL, "sandbox-lost",
                           "the sandbox's first process is gone: start again with more memory");
    s->pid = order.pid;
    s->control = fds[0];
    s->talk = fds[1];
    s->serial = 1;
    if (order.pid > 0 && fds[1] >= 0)
        return T3D_OK;
    errno = order.pid < 0 ? -order.pid : EMFILE;
    close_slot(s);
    return t3d_err_sys(err, "cannot make a process for", "the sandbox");
}

/* Children that died waiting (killed from outside) count on. */
static void pass_idle_deaths(struct slot *s)
{
    struct t3di_status status;

    while (s->control >= 0 && t3di_receive(s->control, &status, sizeof status, NULL, 0, NULL, 0,
                                           MSG_DONTWAIT) == (long)sizeof status)
        s->serial = status.serial + 1;
}

static int start(struct t3d_sandbox *sb, struct slot *s, struct t3d_err *err)
{
    int r = s->pid ? T3D_OK : spawn(sb, s, err);

    if (r < 0)
        return r;
    pass_idle_deaths(s);
    s->active = 1;
    s->late = 0;
    s->deadline = sb->o.wall_s > 0 ? now() + sb->o.wall_s : 0;
    return T3D_OK;
}

static long try_send(struct slot *s, const void *msg, size_t n, const int *fds, int n_fds)
{
    struct t3di_talk head = {s->serial};
    struct pollfd p = {s->talk, POLLOUT, 0};

    /* A child that asks and never reads the answers must not block us. */
    if (poll(&p, 1, 1000) <= 0) {
        errno = EAGAIN;
        return -1;
    }
    return t3di_send(s->talk, &head, sizeof head, msg, n, fds, n_fds);
}

int t3d_sandbox_send(struct t3d_sandbox *sb, int slot, const void *msg, size_t n, const int *fds,
                     int n_fds, struct t3d_err *err)
{
    struct slot *s = &sb->slot[slot];
    int first = !s->active, r;

    if (n > T3D_SANDBOX_MESSAGE || n_fds > T3D_SANDBOX_FDS)
        return t3d_err_set(err, T3D_FAIL, "bad-message", "a message of %zu bytes, %d descriptors",
                           n, n_fds);
    if (first && (r = start(sb, s, err)) < 0)
        return r;
    if (try_send(s, msg, n, fds, n_fds) >= 0)
        return T3D_OK;
    if (!first)
        return t3d_err_set(err, T3D_SKIP, "parser-crashed", "the parser does not read its answers");
    /* The zygote is lost: a second one gets the same request. */
    if ((r = spawn(sb, s, err)) < 0 || (r = start(sb, s, err)) < 0)
        return r;
    return try_send(s, msg, n, fds, n_fds) >= 0
               ? T3D_OK
               : t3d_err_sys(err, "cannot send a request to", "the sandbox");
}

/* --- the end of a child --------------------------------------------------------------------------
 */

static int verdict(int status, int late, const struct t3d_sandbox_options *o, struct t3d_err *err)
{
    int sig;

    if (status == -1)
        return t3d_err_set(err, T3D_FAIL, "sandbox-lost",
                           "no process could be made for the parser");
    if (WIFEXITED(status)) {
        int code = WEXITSTATUS(status);
        if (code == 0)
            return T3D_END;
        if (code == T3D_SANDBOX_NO_MEMORY)
            return t3d_err_set(err, T3D_SKIP, "parser-memory",
                               "the file needs more memory than the parser's limit of %.0f MiB",
                               (double)o->memory_bytes / 1048576.0);
        return t3d_err_value(err, T3D_SKIP, "parser-crashed", code,
                             "the parser ended with status %d", code);
    }
    sig = WTERMSIG(status);
    if (late)
        return t3d_err_value(err, T3D_SKIP, "parser-timeout", o->wall_s,
                             "the parser was stopped after %g s", o->wall_s);
    if (sig == SIGXCPU)
        return t3d_err_value(err, T3D_SKIP, "parser-timeout", o->cpu_s,
                             "the parser was stopped after %g s of CPU time", o->cpu_s);
    if (sig == SIGKILL)
        return t3d_err_value(err, T3D_SKIP, "parser-memory", sig,
                             "the parser was killed, probably because memory ran out");
    return t3d_err_value(err, T3D_SKIP, "parser-crashed", sig,
                         "the parser died of signal %d (%s)%s", sig, strsignal(sig),
                         sig == SIGSYS ? ": a forbidden system call" : "");
}

/* Ask the zygote to kill its child; the end is seen by receive. */
static void order_kill(struct slot *s)
{
    struct t3di_status order = {s->serial, T3DI_KILL};

    t3di_send(s->control, &order, sizeof order, NULL, 0, NULL, 0);
    s->deadline = now() + GRACE_S;
}

/* 1: the status of the slot's child is in *status; 0: of another; -1: the zygote is gone. */
static int take_status(struct slot *s, int *status)
{
    struct t3di_status st;
    long n = t3di_receive(s->control, &st, sizeof st, NULL, 0, NULL, 0, 0);

    if (n != (long)sizeof st)
        return -1;
    if (st.serial != s->serial)
        return 0;
    *status = st.wait_status;
    s->serial++;
    s->active = 0;
    return 1;
}

static int take_message(struct slot *s, void *msg, size_t capacity, size_t *n)
{
    struct t3di_talk head;
    long k;

    while ((k = t3di_receive(s->talk, &head, sizeof head, msg, capacity, NULL, 0, MSG_DONTWAIT)) >=
           0)
        if (k >= (long)sizeof head && head.serial == s->serial) {
            *n = (size_t)k - sizeof head;
            return 1;
        } else if (k == 0) {
            return 0;
        }
    return 0;
}

static int lost(struct slot *s, int late, const struct t3d_sandbox *sb, struct t3d_err *err)
{
    s->active = 0;
    s->talk = (close(s->talk), -1);
    s->control = (close(s->control), -1);
    if (late)
        return verdict(SIGKILL, 1, &sb->o, err);
    return t3d_err_set(err, T3D_SKIP, "parser-crashed", "the parser and its keeper are gone");
}

int t3d_sandbox_receive(struct t3d_sandbox *sb, int slot, void *msg, size_t capacity, size_t *n,
                        struct t3d_err *err)
{
    struct slot *s = &sb->slot[slot];

    while (s->active) {
        struct pollfd p[2] = {{s->control, POLLIN, 0}, {s->talk, POLLIN, 0}};
        double left = s->deadline > 0 ? s->deadline - now() : 0;
        int wait_ms = s->deadline > 0 ? (int)(T3D_CLAMP(left, 0, 1e6) * 1e3) + (left > 0) : -1;
        int r = poll(p, 2, wait_ms), status;

        if (r < 0 && errno != EINTR)
            return lost(s, 0, sb, err);
        if (r == 0 && s->late)
            return lost(s, 1, sb, err);
        if (r == 0) {
            s->late = 1;
            order_kill(s);
        }
        /* What the child said before its end comes before its end. */
        if (r > 0 && take_message(s, msg, capacity, n))
            return T3D_OK;
        if (r <= 0 || !p[0].revents)
            continue;
        r = take_status(s, &status);
        if (r < 0)
            return lost(s, s->late, sb, err);
        if (r > 0)
            return verdict(status, s->late, &sb->o, err);
    }
    return t3d_err_set(err, T3D_FAIL, "bad-call", "no request is under way in the sandbox");
}

void t3d_sandbox_abandon(struct t3d_sandbox *sb, int slot)
{
    struct slot *s = &sb->slot[slot];
    char msg[T3D_SANDBOX_MESSAGE];
    size_t n;

    if (!s->active)
        return;
    s->late = 1;
    order_kill(s);
    while (t3d_sandbox_receive(sb, slot, msg, sizeof msg, &n, NULL) == T3D_OK)
        ;
}
