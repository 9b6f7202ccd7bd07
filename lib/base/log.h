/* SPDX-License-Identifier: Apache-2.0 */
/* base/log.h -- messages for people, on stderr only.
 *
 * "t3d render: message", one line each, control characters replaced. Only tools, the tool harness
 * and base/progress call this; other library code returns errors. Lines never mix with the progress
 * bar. */
#ifndef T3D_BASE_LOG_H
#define T3D_BASE_LOG_H

#include "base/err.h"

enum t3d_log_level { T3D_LOG_QUIET, T3D_LOG_ERROR, T3D_LOG_WARN, T3D_LOG_INFO, T3D_LOG_DEBUG };

void t3d_log_init(const char *program, enum t3d_log_level level);
void t3d_error(const char *fmt, ...) T3D_PRINTF(1, 2);
void t3d_warn(const char *fmt, ...) T3D_PRINTF(1, 2);
void t3d_info(const char *fmt, ...) T3D_PRINTF(1, 2);
void t3d_debug(const char *fmt, ...) T3D_PRINTF(1, 2);

#endif
