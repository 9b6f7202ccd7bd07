/* SPDX-License-Identifier: Apache-2.0 */
#include "base/sandbox_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Everything else kills the process. Reading needs no list of descriptors: the child holds only
 * those it was given. prlimit64, setitimer, kill, ptrace, ioctl, most of fcntl and all that
 * make a descriptor out of a name are missing on purpose. */
static const int allowed[] = {
    SCMP_SYS(read),         SCMP_SYS(pread64),
    SCMP_SYS(readv),        SCMP_SYS(write),
    SCMP_SYS(writev),       SCMP_SYS(pwrite64),
    SCMP_SYS(recvmsg),      SCMP_SYS(sendmsg),
    SCMP_SYS(munmap),       SCMP_SYS(mremap),
    SCMP_SYS(madvise),      SCMP_SYS(brk),
    SCMP_SYS(futex),        SCMP_SYS(exit),
    SCMP_SYS(exit_group),   SCMP_SYS(rt_sigreturn),
    SCMP_SYS(fstat),        SCMP_SYS(lseek),
    SCMP_SYS(close),        SCMP_SYS(ftruncate),
    SCMP_SYS(getrandom),    SCMP_SYS(clock_gettime),
    SCMP_SYS(gettimeofday), SCMP_SYS(sysinfo),
    SCMP_SYS(sched_yield),  SCMP_SYS(restart_syscall),
    SCMP_SYS(getpid),       SCMP_SYS(gettid),
};

/* What the sanitizers' run time asks for besides. */
static const int sanitizer_allowed[] = {
    SCMP_SYS(sigaltstack), SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(getrlimit),   SCMP_SYS(prlimit64),
};

static int add_rules(scmp_filter_ctx f)
{
    int r = 0;

    for (size_t i = 0; i < T3D_COUNT(allowed); i++)
        r |= seccomp_rule_add(f, SCMP_ACT_ALLOW, allowed[i], 0);
    for (size_t i = 0; T3DI_ASAN && i < T3D_COUNT(sanitizer_allowed); i++)
        r |= seccomp_rule_add(f, SCMP_ACT_ALLOW, sanitizer_allowed[i], 0);
    /* Memory may be had, but never made executable. */
    r |= seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1,
                          SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
    r |= seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1,
                          SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
    /* A child may seal what it has written: that takes rights away and gives none. */
    r |= seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(fcntl), 1,
                          SCMP_A1(SCMP_CMP_MASKED_EQ, 0xffffffff, F_ADD_SEALS));
    /* The C library asks for the kind of a descriptor by newfstatat("", AT_EMPTY_PATH); the path
     * cannot be looked at here, so the question gets an error instead of an answer about any file.
     */
    r |= seccomp_rule_add(f, SCMP_ACT_ERRNO(EACCES), SCMP_SYS(newfstatat), 0);
    return r;
}

/* libseccomp 2.5 exports to a descriptor only. */
static int export(scmp_filter_ctx f, struct sock_fprog *prog)
{
    int fd = memfd_create("filter", MFD_CLOEXEC), r = -1;
    long size;

    if (fd < 0)
        return -1;
    if (seccomp_export_bpf(f, fd) == 0 && (size = lseek(fd, 0, SEEK_END)) > 0 &&
        (prog->filter = malloc((size_t)size)) != NULL) {
        prog->len = (unsigned short)((size_t)size / sizeof *prog->filter);
        if (pread(fd, prog->filter, (size_t)size, 0) == size)
            r = 0;
    }
    close(fd);
    return r;
}

int t3di_filter_build(struct sock_fprog *prog)
{
    scmp_filter_ctx f = seccomp_init(T3DI_ASAN ? SCMP_ACT_ERRNO(EPERM) : SCMP_ACT_KILL_PROCESS);
    int r = -1;

    prog->filter = NULL;
    prog->len = 0;
    if (!f)
        return -1;
    /* A binary tree over the numbers: fewer instructions for each call of the child. */
    seccomp_attr_set(f, SCMP_FLTATR_CTL_OPTIMIZE, 2);
    seccomp_attr_set(f, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
    if (add_rules(f) == 0)
        r = export(f, prog);
    seccomp_release(f);
    return r;
}

int t3di_filter_apply(const struct sock_fprog *prog)
{
    return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, prog);
}

const char *t3d_sandbox_libraries(void)
{
    static char text[32];
    const struct scmp_version *v = seccomp_version();

    snprintf(text, sizeof text, "libseccomp %u.%u.%u", v->major, v->minor, v->micro);
    return text;
}
