/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WAIT_ASLEEP_H
#define WAIT_ASLEEP_H

#include <stdlib.h>
#include <unistd.h>

/* Waiting threads sleep: spinning ones would fill the machine where tests run side by side. The
 * runtime looks at this only as it is loaded, so the program starts again. */
static inline void wait_asleep(char **argv)
{
    if (getenv("OMP_WAIT_POLICY"))
        return;
    setenv("OMP_WAIT_POLICY", "passive", 1);
    execv("/proc/self/exe", argv);
}

#endif
