/* SPDX-License-Identifier: Apache-2.0 */
/* How many processors this process may use. */
#include <math.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "base/tool.h"

/* Bits of the affinity mask; 1 when it cannot be read. */
static int affinity(void)
{
    for (int max = 1024; max <= 1 << 20; max *= 4) {
        cpu_set_t *set = CPU_ALLOC((size_t)max);
        size_t bytes = CPU_ALLOC_SIZE((size_t)max);
        int n = 0;

        if (!set)
            return 1;
        if (sched_getaffinity(0, bytes, set) == 0)
            n = CPU_COUNT_S(bytes, set);
        CPU_FREE(set);
        if (n)
            return n;
    }
    return 1;
}

/* The first line of a file, 0 when there is none. */
static int first_line(const char *path, char *buf, size_t n)
{
    FILE *f = fopen(path, "re");
    int ok = f && fgets(buf, (int)n, f);

    if (f)
        fclose(f);
    return ok;
}

/* Processors that a quota of one folder allows: cgroup v2's cpu.max is "QUOTA PERIOD" or "max
 * PERIOD". */
static double quota_v2(const char *folder)
{
    char path[4200], line[128];
    double quota, period;

    snprintf(path, sizeof path, "/sys/fs/cgroup%s/cpu.max", folder);
    if (!first_line(path, line, sizeof line) || sscanf(line, "%lf %lf", &quota, &period) != 2)
        return INFINITY;
    return quota > 0 && period > 0 ? quota / period : INFINITY;
}

static double quota_v1(void)
{
    char quota[64], period[64];
    double q, p;

    if (!first_line("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", quota, sizeof quota) ||
        !first_line("/sys/fs/cgroup/cpu/cpu.cfs_period_us", period, sizeof period))
        return INFINITY;
    q = strtod(quota, NULL);
    p = strtod(period, NULL);
    return q > 0 && p > 0 ? q / p : INFINITY;
}

/* The least quota of our group and those above it. */
static double cgroup(void)
{
    char line[4096];
    double least = fmin(quota_v1(), quota_v2(""));
    FILE *f = fopen("/proc/self/cgroup", "re");

    if (!f)
        return least;
    while (fgets(line, sizeof line, f)) {
        char *folder = line + 3;

        if (strncmp(line, "0::", 3) != 0)
            continue;
        folder[strcspn(folder, "\n")] = 0;
        while (*folder == '/' && folder[1]) {
            least = fmin(least, quota_v2(folder));
            *strrchr(folder, '/') = 0;
        }
    }
    fclose(f);
    return least;
}

int t3d_cpu_count(void)
{
    int n = affinity();
    double quota = ceil(cgroup());
    const char *slurm = getenv("SLURM_CPUS_PER_TASK");
    long asked = slurm ? strtol(slurm, NULL, 10) : 0;

    if (quota < n)
        n = (int)quota;
    if (asked > 0 && asked < n)
        n = (int)asked;
    return n < 1 ? 1 : n;
}
