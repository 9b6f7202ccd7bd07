/* SPDX-License-Identifier: Apache-2.0 */
/* store/schema_impl.h -- manifest.db's schema as a list of migrations. */
#ifndef T3D_STORE_SCHEMA_IMPL_H
#define T3D_STORE_SCHEMA_IMPL_H

/* "T3DM": lets file(1) and us tell a manifest from any other SQLite file. */
enum { T3DI_APPLICATION_ID = 0x5433444d };

/* t3di_schema[v] brings user_version v to v + 1. */
extern const char *const t3di_schema[];
extern const int t3di_schema_version;

#endif
