/* SPDX-License-Identifier: Apache-2.0 */
/* base/log_impl.h -- the progress bar's share of stderr. */
#ifndef T3D_BASE_LOG_IMPL_H
#define T3D_BASE_LOG_IMPL_H

/* Show text as the last line of the terminal, in place of the one before; "" removes it. Messages
 * are printed above it. */
void t3di_log_bar(const char *text);

/* Write one finished line as it is (NDJSON), above the bar. */
void t3di_log_line(const char *line);

/* 1 when messages for people of this kind are wanted (not --quiet). */
int t3di_log_informs(void);

#endif
