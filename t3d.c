/* SPDX-License-Identifier: Apache-2.0 */
/* t3d -- the front door: `t3d render ...` runs t3d-render, found beside this program. */
#include <limits.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    char path[PATH_MAX + 64];
    ssize_t n = readlink("/proc/self/exe", path, PATH_MAX);

    if (n <= 0 || argc < 2) {
        fputs("usage: t3d TOOL [OPTION]... [OPERAND]...\n", stderr);
        return 2;
    }
    while (n && path[n - 1] != '/')
        n--;
    snprintf(path + n, 64, "t3d-%s", argv[1]);
    execv(path, argv + 1);
    fprintf(stderr, "t3d: there is no tool '%s'\n", argv[1]);
    return 2;
}
