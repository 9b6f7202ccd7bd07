/* SPDX-License-Identifier: Apache-2.0 */
/* base/version.h -- what `t3d version` says about this build. */
#ifndef T3D_BASE_VERSION_H
#define T3D_BASE_VERSION_H

/* "cJSON 1.7.15, OpenSSL 3.0.17": as loaded at run time. */
const char *t3d_base_libraries(void);

/* "gcc 12.2.0" or "clang 14.0.6". */
const char *t3d_compiler(void);

/* "release", "debug" or "sanitize", by the flags of this file. */
const char *t3d_build_class(void);

#endif
