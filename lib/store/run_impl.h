/* SPDX-License-Identifier: Apache-2.0 */
/* store/run_impl.h -- who owns a claim, and is it alive? */
#ifndef T3D_STORE_RUN_IMPL_H
#define T3D_STORE_RUN_IMPL_H

#include <stdint.h>

struct t3di_place {
    char host[65], boot[40], space[40]; /* host name, boot id, process namespace */
};

void t3di_here(struct t3di_place *p);
/* Start time of a process in clock ticks since boot, -1 = no such process. */
int64_t t3di_process_start(int64_t pid);
int t3di_run_alive(const struct t3di_place *here, const struct t3di_place *there, int64_t pid,
                   int64_t start, int64_t lease);

/* 1 when name is NAME.<pid>.<n>.tmp of a process that is gone. */
int t3di_stale_tmp(const char *name);
/* Remove those in dir (not below). */
void t3di_remove_stale(const char *dir);

#endif
