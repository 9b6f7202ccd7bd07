/* SPDX-License-Identifier: Apache-2.0 */
#include "base/openmp.h"

#include <limits.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/defs.h"

void t3d_openmp_share(char **argv)
{
    /* of the standard, of gcc's runtime, of clang's */
    static const char *const names[] = {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME"};
    char self[PATH_MAX];
    ssize_t n;

    for (size_t i = 0; i < T3D_COUNT(names); i++)
        if (getenv(names[i]))
            return;
    n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n <= 0 || setenv("GOMP_SPINCOUNT", "1000", 1) < 0 || setenv("KMP_BLOCKTIME", "0", 1) < 0)
        return;
    self[n] = 0;
    execv(self, argv);
}
