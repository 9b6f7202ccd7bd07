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

#include "base/clock.h"
#include "base/sandbox_impl.h"

/* What a zygote may take to kill and bury a child before it counts as lost. */
#define GRACE_S 5.0

struct slot {
    pid_t pid; /* of the zygote, 0 = none yet */
    int control, talk;
    uint32_t serial;  /* of the child that waits or works */
    uint32_t request; /* number of the one under way, or the last */
    int active, late; /* a request is under way; it was killed for its time */
    int passed_on;    /* the request's first child died before it took it */
    int served;       /* requests of this child that went well */
    int retiring;     /* the child is to be killed, and its end has not been seen */
    double deadline;  /* on the monotonic clock, 0 = none */
};

struct t3d_sandbox {
    struct t3d_sandbox_options o;
    int n_slots, mother, has_seccomp;
    pid_t mother_pid;
    pthread_mutex_t lock; /* of the mother's socket */
    struct slot *slot;
};

/* --- open and close ----------------------------------------------------------------------------
 */

static int fork_mother(struct t3d_sandbox *sb, struct t3d_err *err)
{
    struct t3di_hello hello;
    sigset_t all, old;
    int pair[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return t3d_err_sys(err, "cannot make a socket for", "the sandbox");
    /* Until the mother has put signals right, the caller's handlers must not run in her. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    sb->mother_pid = fork();
    if (sb->mother_pid == 0) {
        close(pair[0]);
        t3di_sandbox_mother(pair[1], &sb->o);
    }
    pthread_sigmask(SIG_SETMASK, &old, NULL);
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
    struct t3di_spawn order = {s->pid, (int32_t)(s - sb->slot)};
    int fds[2] = {-1, -1};
    long n;

    close_slot(s);
    pthread_mutex_lock(&sb->lock);
    n = t3di_send(sb->mother, &order, sizeof order, NULL, 0, NULL, 0, 0);
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
    s->request = 0;
    if (order.pid > 0 && fds[1] >= 0)
        return T3D_OK;
    errno = order.pid < 0 ? -order.pid : EMFILE;
    close_slot(s);
    return t3d_err_sys(err, "cannot make a process for", "the sandbox");
}

/* Ask the zygote to kill its child; the end is seen later. */
static void order_kill(struct slot *s)
{
    struct t3di_order order = {s->serial};

    t3di_send(s->control, &order, sizeof order, NULL, 0, NULL, 0, MSG_DONTWAIT);
}

static int take_status(struct slot *s, struct t3di_status *st, int flags)
{
    if (t3di_receive(s->control, st, sizeof *st, NULL, 0, NULL, 0, flags) != (long)sizeof *st)
        return -1;
    s->serial = st->serial + 1;
    s->served = 0;
    s->retiring = 0;
    return 0;
}

/* Between requests: see the end of a child that retires, and of those that died waiting. What a
 * dead one may have said ahead of time is dropped: its successor has nothing to say yet. -1: the
 * zygote does not answer. */
static int settle(struct slot *s)
{
    struct pollfd p = {s->control, POLLIN, 0};
    struct t3di_status st;
    double until = t3d_clock_s() + GRACE_S;
    char junk[64];

    while (s->retiring) {
        double left = until - t3d_clock_s();
        if (left <= 0 || (poll(&p, 1, (int)(left * 1e3) + 1) > 0 && take_status(s, &st, 0) < 0))
            return -1;
    }
    while (take_status(s, &st, MSG_DONTWAIT) == 0)
        ;
    while (t3di_receive(s->talk, junk, sizeof junk, NULL, 0, NULL, 0, MSG_DONTWAIT) > 0)
        ;
    return 0;
}

static int start(struct t3d_sandbox *sb, struct slot *s, struct t3d_err *err)
{
    int lost = !s->pid || s->talk < 0 || settle(s) < 0, r;

    if (lost && (r = spawn(sb, s, err)) < 0)
        return r;
    s->request++;
    s->active = 1;
    s->late = s->passed_on = 0;
    s->deadline = sb->o.wall_s > 0 ? t3d_clock_s() + sb->o.wall_s : 0;
    return T3D_OK;
}

static long try_send(struct slot *s, int kind, const void *msg, size_t n, const int *fds, int n_fds)
{
    struct t3di_talk head = {s->request, (uint32_t)kind};
    struct pollfd p = {s->talk, POLLOUT, 0};
    long r = t3di_send(s->talk, &head, sizeof head, msg, n, fds, n_fds, MSG_DONTWAIT);

    /* A child that asks and never reads the answers must not block us. */
    if (r < 0 && errno == EAGAIN && poll(&p, 1, 1000) > 0)
        r = t3di_send(s->talk, &head, sizeof head, msg, n, fds, n_fds, MSG_DONTWAIT);
    return r;
}

int t3d_sandbox_send(struct t3d_sandbox *sb, int slot, const void *msg, size_t n, const int *fds,
                     int n_fds, struct t3d_err *err)
{
    struct slot *s = &sb->slot[slot];
    int first = !s->active, kind = first ? T3DI_REQUEST : T3DI_TALK, r;

    if (n > T3D_SANDBOX_MESSAGE || n_fds > T3D_SANDBOX_FDS)
        return t3d_err_set(err, T3D_FAIL, "bad-message", "a message of %zu bytes, %d descriptors",
                           n, n_fds);
    if (first && (r = start(sb, s, err)) < 0)
        return r;
    if (try_send(s, kind, msg, n, fds, n_fds) >= 0)
        return T3D_OK;
    if (!first)
        return t3d_err_set(err, T3D_SKIP, "parser-crashed", "the parser does not read its answers");
    /* The zygote is lost: a second one gets the same request. */
    if ((r = spawn(sb, s, err)) < 0 || (r = start(sb, s, err)) < 0)
        return r;
    return try_send(s, kind, msg, n, fds, n_fds) >= 0
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

static void kill_late(struct slot *s)
{
    s->late = 1;
    order_kill(s);
    s->deadline = t3d_clock_s() + GRACE_S;
}

/* A question (1), the end of the request (2), or nothing that counts (0). */
static int take_message(struct slot *s, void *msg, size_t capacity, size_t *n)
{
    struct t3di_talk head;
    long k;

    while ((k = t3di_receive(s->talk, &head, sizeof head, msg, capacity, NULL, 0, MSG_DONTWAIT)) >
           0) {
        if (k < (long)sizeof head || head.request != s->request)
            continue;
        *n = (size_t)k - sizeof head;
        if (head.kind == T3DI_TALK)
            return 1;
        if (head.kind == T3DI_DONE || head.kind == T3DI_DONE_LAST) {
            s->retiring = head.kind == T3DI_DONE_LAST;
            return 2;
        }
    }
    return 0;
}

/* The request is served. */
static int done(struct t3d_sandbox *sb, int slot)
{
    struct slot *s = &sb->slot[slot];

    s->active = 0;
    if (++s->served >= T3D_SANDBOX_REQUESTS || s->retiring || s->late)
        t3d_sandbox_retire(sb, slot);
    return T3D_END;
}

void t3d_sandbox_retire(struct t3d_sandbox *sb, int slot)
{
    struct slot *s = &sb->slot[slot];

    /* served is 0 when the child is gone already. */
    if (s->active || !s->served || s->control < 0)
        return;
    s->retiring = 1;
    order_kill(s);
}

/* Give the zygote up; the next request gets another. */
static int lost(struct slot *s, int late, const struct t3d_sandbox *sb, struct t3d_err *err)
{
    s->active = 0;
    s->talk = (close(s->talk), -1);
    s->control = (close(s->control), -1);
    if (late)
        return verdict(SIGKILL, 1, &sb->o, err);
    return t3d_err_set(err, T3D_SKIP, "parser-crashed", "the parser and its keeper are gone");
}

/* The child is gone, or could not be made. T3D_OK: the request goes on in the next one. */
static int child_ended(struct t3d_sandbox *sb, struct slot *s, struct t3d_err *err)
{
    struct t3di_status st;

    if (take_status(s, &st, 0) < 0)
        return lost(s, s->late, sb, err);
    if (st.taken == s->request) {
        s->active = 0;
        return verdict(st.wait_status, s->late, &sb->o, err);
    }
    /* The request is still in the socket, for the next child to take. */
    if (!s->late && !s->passed_on && st.wait_status != -1) {
        s->passed_on = 1;
        return T3D_OK;
    }
    lost(s, s->late, sb, NULL);
    return verdict(st.wait_status, s->late, &sb->o, err);
}

int t3d_sandbox_receive(struct t3d_sandbox *sb, int slot, void *msg, size_t capacity, size_t *n,
                        struct t3d_err *err)
{
    struct slot *s = &sb->slot[slot];

    while (s->active) {
        struct pollfd p[2] = {{s->control, POLLIN, 0}, {s->talk, POLLIN, 0}};
        double left = s->deadline > 0 ? s->deadline - t3d_clock_s() : 0;
        int wait_ms = s->deadline > 0 ? (int)(T3D_CLAMP(left, 0, 1e6) * 1e3) + (left > 0) : -1;
        int r = poll(p, 2, wait_ms), what = 0;

        if (r < 0 && errno != EINTR)
            return lost(s, 0, sb, err);
        if (r == 0 && s->late)
            return lost(s, 1, sb, err);
        if (r == 0)
            kill_late(s);
        /* What the child said before its end comes before its end. */
        if (r > 0 && p[1].revents)
            what = take_message(s, msg, capacity, n);
        if (what)
            return what == 1 ? T3D_OK : done(sb, slot);
        if (r > 0 && p[0].revents && (r = child_ended(sb, s, err)) != T3D_OK)
            return r;
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
    kill_late(s);
    while (t3d_sandbox_receive(sb, slot, msg, sizeof msg, &n, NULL) == T3D_OK)
        ;
}
