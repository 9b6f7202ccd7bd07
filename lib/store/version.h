/* SPDX-License-Identifier: Apache-2.0 */
/* store/version.h -- what `t3d version` says about the storage libraries. */
#ifndef T3D_STORE_VERSION_H
#define T3D_STORE_VERSION_H

/* "SQLite 3.40.1", as loaded at run time. */
const char *t3d_store_libraries(void);

#endif
