/* SPDX-License-Identifier: Apache-2.0 */
/* The processes behind base/sandbox.h: mother, zygotes, children. All are single-threaded. */
#include "base/sandbox_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <omp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* libseccomp 2.5 never returns when memory is out in the wrong moment; the caller waits for us. */
enum { SETUP_S = 20 };

struct family {
    const struct t3d_sandbox_options *o;
    struct sock_fprog filter;
    int has_seccomp;
};

/* Shared by a zygote and its child: the request that the child took last. */
struct board {
    volatile uint32_t taken;
};

struct t3d_sandbox_child {
    int talk, last;   /* last: no request after this one */
    uint32_t request; /* under way, 0 = none yet */
    uint32_t fds;     /* bit n: descriptor n came with this request (RLIMIT_NOFILE is below 32) */
    struct board *board;
};

/* --- messages ------------------------------------------------------------------------------------
 */

union ancillary {
    char bytes[CMSG_SPACE(sizeof(int) * T3DI_MAX_FDS)];
    struct cmsghdr align;
};

long t3di_send(int sock, const void *head, size_t n_head, const void *body, size_t n_body,
               const int *fds, int n_fds, int flags)
{
    struct iovec part[2] = {{(void *)(uintptr_t)head, n_head}, {(void *)(uintptr_t)body, n_body}};
    struct msghdr m = {.msg_iov = part, .msg_iovlen = n_body ? 2 : 1};
    union ancillary a;
    long r;

    if (n_fds) {
        struct cmsghdr *c = &a.align;
        memset(&a, 0, sizeof a);
        m.msg_control = a.bytes;
        m.msg_controllen = CMSG_SPACE(sizeof(int) * (size_t)n_fds);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int) * (size_t)n_fds);
        memcpy(CMSG_DATA(c), fds, sizeof(int) * (size_t)n_fds);
    }
    do
        r = sendmsg(sock, &m, flags | MSG_NOSIGNAL);
    while (r < 0 && errno == EINTR);
    return r;
}

long t3di_receive(int sock, void *head, size_t n_head, void *body, size_t n_body, int *fds,
                  int n_fds, int flags)
{
    struct iovec part[2] = {{head, n_head}, {body, n_body}};
    union ancillary a;
    struct msghdr m = {.msg_iov = part, .msg_iovlen = n_body ? 2 : 1};
    struct cmsghdr *c;
    int got[T3DI_MAX_FDS], n_got = 0;
    long r;

    if (n_fds) {
        m.msg_control = a.bytes;
        m.msg_controllen = sizeof a.bytes;
    }
    do
        r = recvmsg(sock, &m, flags | MSG_CMSG_CLOEXEC);
    while (r < 0 && errno == EINTR);
    c = r >= 0 && n_fds ? CMSG_FIRSTHDR(&m) : NULL;
    if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS) {
        n_got = (int)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
        n_got = T3D_MIN(n_got, T3DI_MAX_FDS);
        memcpy(got, CMSG_DATA(c), sizeof(int) * (size_t)n_got);
    }
    for (int i = 0; i < T3D_MAX(n_got, n_fds); i++) {
        if (i < n_fds)
            fds[i] = i < n_got ? got[i] : -1;
        else
            close(got[i]);
    }
    return r;
}

/* Is this the message that the child waits for? A child that dies with a question open leaves the
 * answer in the socket, and one that dies before it takes its request leaves that: the next child
 * passes the first over and takes the second. */
static int is_awaited(struct t3d_sandbox_child *c, const struct t3di_talk *head)
{
    if (c->request)
        return head->kind == T3DI_TALK && head->request == c->request;
    if (head->kind != T3DI_REQUEST)
        return 0;
    c->board->taken = c->request = head->request;
    return 1;
}

long t3d_sandbox_child_receive(struct t3d_sandbox_child *c, void *msg, size_t capacity,
                               int fds[T3D_SANDBOX_FDS])
{
    struct t3di_talk head;
    long n;

    for (;;) {
        int awaited;
        n = t3di_receive(c->talk, &head, sizeof head, msg, capacity, fds, T3D_SANDBOX_FDS, 0);
        if (n < (long)sizeof head)
            return -1;
        awaited = is_awaited(c, &head);
        for (int i = 0; i < T3D_SANDBOX_FDS; i++)
            if (fds[i] >= 0 && awaited)
                c->fds |= 1u << fds[i];
            else if (fds[i] >= 0)
                close(fds[i]);
        if (awaited)
            return n - (long)sizeof head;
    }
}

int t3d_sandbox_child_send(struct t3d_sandbox_child *c, const void *msg, size_t n)
{
    struct t3di_talk head = {c->request, T3DI_TALK};

    return t3di_send(c->talk, &head, sizeof head, msg, n, NULL, 0, 0) < 0 ? -1 : 0;
}

void t3d_sandbox_child_close(struct t3d_sandbox_child *c, int fd)
{
    if (fd < 0)
        return;
    close(fd);
    c->fds &= ~(1u << fd);
}

void t3d_sandbox_child_retire(struct t3d_sandbox_child *c)
{
    c->last = 1;
}

/* --- child ---------------------------------------------------------------------------------------
 */

static void limit(int what, uint64_t soft, uint64_t hard)
{
    struct rlimit old, l = {soft, hard};

    /* Lower only: raising a hard limit needs privileges, and would not be ours to do. */
    if (getrlimit((__rlimit_resource_t)what, &old) < 0)
        return;
    l.rlim_max = T3D_MIN(l.rlim_max, old.rlim_max);
    l.rlim_cur = T3D_MIN(l.rlim_cur, l.rlim_max);
    setrlimit((__rlimit_resource_t)what, &l);
}

/* A child's CPU time is limited over its life. Once it has used this part of what a request may
 * have, it is replaced; the limit has as much room, so that each request gets its full share. */
#define CPU_SPARE 0.125

static double cpu_used(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* After a request that went well: forget it, say so, and tell whether another may come. The
 * caller's count of requests binds, whatever is said here. */
static int finish(struct t3d_sandbox_child *c, const struct t3d_sandbox_options *o)
{
    struct t3di_talk head = {c->request, T3DI_DONE};

    for (; c->fds; c->fds &= c->fds - 1)
        close(__builtin_ctz(c->fds));
    if (o->cpu_s > 0 && cpu_used() > CPU_SPARE * o->cpu_s)
        c->last = 1;
    if (c->last)
        head.kind = T3DI_DONE_LAST;
    c->request = 0;
    return t3di_send(c->talk, &head, sizeof head, NULL, 0, NULL, 0, 0) >= 0 && !c->last;
}

static T3D_NORETURN void child(const struct family *f, int talk, struct board *board, pid_t zygote)
{
    struct t3d_sandbox_child c = {.talk = talk, .board = board};
    uint64_t cpu = (uint64_t)ceil(f->o->cpu_s * (1 + CPU_SPARE));
    int status;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != zygote)
        _exit(1);
    if (cpu)
        limit(RLIMIT_CPU, cpu, cpu + 1);
    limit(RLIMIT_NPROC, 0, 0);
    if (f->has_seccomp && t3di_filter_apply(&f->filter) < 0)
        _exit(1);
    /* Without the filter a child could do lasting harm to itself: one request, and its end. */
    do
        status = f->o->run(&c, f->o->ctx);
    while (status == 0 && c.request && f->has_seccomp && finish(&c, f->o));
    _exit(status);
}

/* --- zygote --------------------------------------------------------------------------------------
 */

static T3D_NORETURN void zygote_end(pid_t pid)
{
    if (pid > 0) {
        kill(pid, SIGKILL);
        while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
            ;
    }
    _exit(0);
}

/* Wait until the child is gone, killing it when the caller says so; gives its wait status. */
static int watch(int control, int signals, pid_t pid, uint32_t serial)
{
    for (;;) {
        struct pollfd p[2] = {{signals, POLLIN, 0}, {control, POLLIN, 0}};
        struct signalfd_siginfo info;
        struct t3di_order order;
        int status;

        if (poll(p, 2, -1) < 0 && errno != EINTR)
            zygote_end(pid);
        if (p[1].revents) {
            long n = t3di_receive(control, &order, sizeof order, NULL, 0, NULL, 0, 0);
            if (n < (long)sizeof order)
                zygote_end(pid); /* the caller is gone */
            if (order.serial == serial)
                kill(pid, SIGKILL);
        }
        if (p[0].revents && read(signals, &info, sizeof info) > 0 &&
            waitpid(pid, &status, WNOHANG) == pid)
            return status;
    }
}

static T3D_NORETURN void zygote(const struct family *f, int slot, int control, int talk,
                                pid_t mother)
{
    pid_t self = getpid();
    struct board *board;
    sigset_t set;
    int signals;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != mother)
        _exit(1);
    board = mmap(NULL, sizeof *board, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (signals < 0 || board == MAP_FAILED)
        _exit(1);
    if (f->o->prepare)
        f->o->prepare(f->o->ctx, slot);
    for (uint32_t serial = 1;; serial++) {
        struct t3di_status s = {serial, -1, 0};
        pid_t pid;

        board->taken = 0;
        pid = fork();

        if (pid == 0) {
            close(control);
            close(signals);
            child(f, talk, board, self);
        }
        if (pid > 0)
            s.wait_status = watch(control, signals, pid, serial);
        else
            usleep(10000); /* out of processes: do not spin */
        s.taken = board->taken;
        if (t3di_send(control, &s, sizeof s, NULL, 0, NULL, 0, 0) < 0)
            _exit(0);
    }
}

/* --- mother --------------------------------------------------------------------------------------
 */

static pid_t make_zygote(const struct family *f, int slot, int sock, int fds[2])
{
    int control[2], talk[2];
    pid_t self = getpid(), pid;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, control) < 0)
        return -errno;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, talk) < 0) {
        pid = -errno;
        close(control[0]);
        close(control[1]);
        return pid;
    }
    pid = fork();
    if (pid == 0) {
        close(sock);
        close(control[0]);
        close(talk[0]);
        zygote(f, slot, control[1], talk[1], self);
    }
    if (pid < 0)
        pid = -errno;
    close(control[1]);
    close(talk[1]);
    fds[0] = control[0];
    fds[1] = talk[0];
    return pid;
}

static void close_from(int first)
{
    if (syscall(SYS_close_range, (unsigned)first, ~0u, 0) == 0)
        return;
    for (int fd = first; fd < 65536; fd++) /* Linux before 5.9 */
        close(fd);
}

/* Keep the socket alone, as descriptor 3. */
static int keep_only(int sock)
{
    int null = open("/dev/null", O_RDWR);

    for (int fd = 0; fd < (T3DI_ASAN ? 2 : 3); fd++)
        if (null < 0 || dup2(null, fd) < 0)
            close(fd);
    if (sock != 3 && dup2(sock, 3) < 0)
        _exit(1);
    close_from(4);
    return 3;
}

/* Whatever the caller's program does with signals is not for us. A terminal's ^C and ^\, and what
 * a batch system sends to all processes of a job before it ends, are for the caller to judge: an
 * object under way is not lost by them. A session of our own keeps the terminal away, and the
 * signals are ignored for those who send them to each process. */
static void plain_signals(void)
{
    static const int callers[] = {SIGINT, SIGQUIT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2, SIGTSTP};
    sigset_t none;

    setsid();

    for (int sig = 1; sig < NSIG; sig++)
        if (!(T3DI_ASAN && (sig == SIGSEGV || sig == SIGBUS || sig == SIGFPE || sig == SIGILL)))
            signal(sig, SIG_DFL);
    for (size_t i = 0; i < T3D_COUNT(callers); i++)
        signal(callers[i], SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* EFBIG tells more */
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static uint64_t address_space(void)
{
    unsigned long pages = 0;
    FILE *f = fopen("/proc/self/statm", "re");

    if (!f)
        return 0;
    if (fscanf(f, "%lu", &pages) != 1)
        pages = 0;
    fclose(f);
    return (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void limits(const struct t3d_sandbox_options *o)
{
    limit(RLIMIT_CORE, 0, 0);
    limit(RLIMIT_NOFILE, 32, 32);
    if (o->file_bytes)
        limit(RLIMIT_FSIZE, o->file_bytes, o->file_bytes);
    if (o->memory_bytes && !T3DI_ASAN)
        limit(RLIMIT_AS, address_space() + o->memory_bytes, address_space() + o->memory_bytes);
}

static int by_byte(const void *a, const void *b)
{
    return *(const char *)a - *(const char *)b;
}

/* Things that a library does once, by calls that the filter forbids. */
static void warm_up(void)
{
    static char large[2048];

    qsort(large, sizeof large, 1, by_byte); /* glibc asks for the memory of the machine */
    omp_set_num_threads(1);                 /* a parallel region must not make threads */
}

/* Does the kernel take the filter? */
static int probe(const struct sock_fprog *filter)
{
    int status = -1;
    pid_t pid = fork();

    if (pid == 0)
        _exit(t3di_filter_apply(filter) < 0);
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

void t3di_sandbox_mother(int sock, const struct t3d_sandbox_options *o)
{
    struct family f = {.o = o};
    struct t3di_hello hello;
    struct t3di_spawn s;

    sock = keep_only(sock);
    plain_signals();
    limits(o);
    warm_up();
    alarm(SETUP_S);
    f.has_seccomp = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
                    t3di_filter_build(&f.filter) == 0 && probe(&f.filter);
    alarm(0);
    hello.has_seccomp = f.has_seccomp;
    if (t3di_send(sock, &hello, sizeof hello, NULL, 0, NULL, 0, 0) < 0)
        _exit(1);
    while (t3di_receive(sock, &s, sizeof s, NULL, 0, NULL, 0, 0) == (long)sizeof s) {
        int fds[2] = {-1, -1};

        if (s.pid > 0 && kill(s.pid, SIGKILL) == 0)
            waitpid(s.pid, NULL, 0);
        s.pid = make_zygote(&f, s.slot, sock, fds);
        t3di_send(sock, &s, sizeof s, NULL, 0, fds, s.pid > 0 ? 2 : 0, 0);
        close(fds[0]);
        close(fds[1]);
    }
    /* The zygotes see the end of their sockets as we do. */
    while (wait(NULL) > 0 || errno == EINTR)
        ;
    _exit(0);
}
