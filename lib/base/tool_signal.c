/* SPDX-License-Identifier: Apache-2.0 */
/* Signals: one asks for a stop, a second Ctrl-C ends the process. */
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/tool.h"
#include "base/tool_impl.h"

static atomic_int stop_signal; /* lock-free, so it may be set in a handler and read by any thread */
static int stop_fd = -1;

static void on_signal(int sig)
{
    int old = errno, none = 0;

    if (!atomic_compare_exchange_strong(&stop_signal, &none, sig) && sig == SIGINT &&
        none == SIGINT)
        _exit(T3D_EXIT_INTERRUPTED);
    if (stop_fd >= 0)
        eventfd_write(stop_fd, 1);
    errno = old;
}

int t3di_stop_fd(void)
{
    return stop_fd;
}

int t3d_stop_requested(void)
{
    int sig = atomic_load_explicit(&stop_signal, memory_order_relaxed);

    return sig == 0 ? 0 : sig == SIGINT ? T3D_EXIT_INTERRUPTED : T3D_EXIT_RETRY;
}

void t3di_catch_signals(void)
{
    /* SA_RESTART: a write in hand is completed; what waits for input polls stop_fd. */
    struct sigaction stop = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    struct sigaction ignore = {.sa_handler = SIG_IGN}, old;

    stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    sigemptyset(&stop.sa_mask);
    sigemptyset(&ignore.sa_mask);
    sigaction(SIGPIPE, &ignore, NULL); /* writes then fail with EPIPE */
    sigaction(SIGXFSZ, &ignore, NULL); /* ... and with EFBIG */
    sigaction(SIGTERM, &stop, NULL);
    sigaction(SIGUSR1, &stop, NULL);
    /* The shell lets its background jobs ignore Ctrl-C. */
    if (sigaction(SIGINT, NULL, &old) == 0 && old.sa_handler != SIG_IGN)
        sigaction(SIGINT, &stop, NULL);
}
