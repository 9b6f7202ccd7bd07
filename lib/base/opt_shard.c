/* SPDX-License-Identifier: Apache-2.0 */
/* --shard: which part of the objects this process works on. */
#include <stdlib.h>
#include <string.h>

#include "base/opt.h"

enum { MAX_PARTS = 1000000000 };

/* A whole decimal number up to MAX_PARTS, or -1. */
static int64_t number(const char *s, size_t n)
{
    int64_t v = 0;

    if (!s || !n || n > 10)
        return -1;
    for (size_t i = 0; i < n; i++) {
        if (s[i] < '0' || s[i] > '9')
            return -1;
        v = 10 * v + (s[i] - '0');
    }
    return v <= MAX_PARTS ? v : -1;
}

/* -1 when the variable is absent or not a number. */
static int64_t env(const char *name)
{
    const char *s = getenv(name);

    return s ? number(s, strlen(s)) : -1;
}

/* Slurm: an array is a partition; inside an srun step of several tasks each element is divided
 * further. A batch script without srun has SLURM_NTASKS too but runs once, so there the array alone
 * counts. */
static int slurm_array(int64_t *i, int64_t *n)
{
    int64_t id = env("SLURM_ARRAY_TASK_ID"), low = env("SLURM_ARRAY_TASK_MIN");
    int64_t step = env("SLURM_ARRAY_TASK_STEP"), count = env("SLURM_ARRAY_TASK_COUNT");
    int64_t tasks = env("SLURM_STEP_NUM_TASKS"), rank = env("SLURM_PROCID");

    if (id < 0)
        return 0;
    if (low < 0)
        low = 0;
    if (step < 1)
        step = 1;
    *i = id < low ? -1 : (id - low) / step;
    *n = count;
    if (tasks > 1 && rank >= 0 && count > 0) {
        *i = *i * tasks + rank;
        *n = count * tasks;
    }
    return 1;
}

/* Sets *i and *n (-1 = the environment does not say) from the first source that is there; its name.
 */
static const char *detect(int64_t *i, int64_t *n)
{
    static const char *const pair[][2] = {
        {"SLURM_PROCID", "SLURM_NTASKS"},  {"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"},
        {"PMI_RANK", "PMI_SIZE"},          {"JOB_COMPLETION_INDEX", ""},
        {"AWS_BATCH_JOB_ARRAY_INDEX", ""},
    };

    if (slurm_array(i, n))
        return "SLURM_ARRAY_TASK_ID";
    for (size_t k = 0; k < T3D_COUNT(pair); k++) {
        if (!getenv(pair[k][0]))
            continue;
        *i = env(pair[k][0]);
        *n = *pair[k][1] ? env(pair[k][1]) : -1;
        return pair[k][0];
    }
    return NULL;
}

static int automatic(const char *text, int64_t given, uint32_t *index, uint32_t *count,
                     struct t3d_err *err)
{
    int64_t i = -1, n = -1;
    const char *source = detect(&i, &n);

    if (!source)
        return t3d_err_set(
            err, T3D_USAGE, "bad-value",
            "--shard %s: neither Slurm, MPI nor an indexed job has set a rank here; use "
            "--shard I/N",
            text);
    if (given > 0)
        n = given;
    if (n < 1)
        return t3d_err_set(
            err, T3D_USAGE, "bad-value",
            "--shard %s: %s does not say how many parts there are; use --shard auto/N", text,
            source);
    if (i < 0 || i >= n || n > UINT32_MAX)
        return t3d_err_set(err, T3D_USAGE, "bad-value",
                           "--shard %s: %s='%s' is not one of the %lld parts from 0", text, source,
                           getenv(source), (long long)n);
    *index = (uint32_t)i;
    *count = (uint32_t)n;
    return T3D_OK;
}

int t3d_shard_parse(const char *text, uint32_t *index, uint32_t *count, struct t3d_err *err)
{
    const char *slash = strchr(text, '/');
    size_t left = slash ? (size_t)(slash - text) : strlen(text);
    int64_t n = slash ? number(slash + 1, strlen(slash + 1)) : -1, i;

    if (left == 4 && memcmp(text, "auto", 4) == 0 && (!slash || n > 0))
        return automatic(text, n, index, count, err);
    i = number(text, left);
    if (i < 0 || n < 1 || i >= n)
        return t3d_err_set(err, T3D_USAGE, "bad-value",
                           "--shard: '%s' is not I/N with I from 0 to N-1, auto, or auto/N", text);
    *index = (uint32_t)i;
    *count = (uint32_t)n;
    return T3D_OK;
}
