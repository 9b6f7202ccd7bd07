/* SPDX-License-Identifier: Apache-2.0 */
/* base/tool_impl.h -- what the harness shares with the rest of base. */
#ifndef T3D_BASE_TOOL_IMPL_H
#define T3D_BASE_TOOL_IMPL_H

/* A descriptor that becomes and stays readable once a stop was requested; -1 without a harness. So
 * a reader that waits for input can wait for a signal as well, without a race. */
int t3di_stop_fd(void);

/* Ignore SIGPIPE and catch SIGINT, SIGTERM, SIGUSR1. */
void t3di_catch_signals(void);

#endif
