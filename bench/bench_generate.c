/* SPDX-License-Identifier: Apache-2.0 */
/* The generate rows of `t3d bench speed`: from a prompt to a file by a program started for it, as a
 * user waits for it; the generator that comes with t3d, four steps. */
#include <limits.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "bench/bench.h"
#include "metric/speed.h"

extern char **environ;

/* t3d-generate lies beside this program. */
static int find_program(char path[PATH_MAX], struct t3d_err *err)
{
    static const char name[] = "t3d-generate";
    ssize_t n = readlink("/proc/self/exe", path, PATH_MAX - 1);
    char *base;

    if (n < 0)
        return t3d_err_sys(err, "cannot find this program", "/proc/self/exe");
    path[n] = 0;
    base = strrchr(path, '/');
    if (!base || (size_t)(base + 1 - path) + sizeof name > PATH_MAX)
        return t3d_err_set(err, T3D_FAIL, "no-program", "the path of this program is too long");
    memcpy(base + 1, name, sizeof name);
    return T3D_OK;
}

static int generate(struct t3d_speed *b, struct t3d_speed_row *row, const char *ending,
                    struct t3d_err *err)
{
    char program[PATH_MAX], *output = t3d_sprintf(&b->arena, "%s/speed.%s", b->scratch, ending),
                            *threads = t3d_sprintf(&b->arena, "%d", b->threads);
    char name[] = "t3d-generate", prompt[] = "a red cube on a blue cylinder", quiet[] = "-q",
         j[] = "-j", o[] = "-o";
    char *argv[] = {name, prompt, quiet, j, threads, o, output, NULL};
    double start = t3d_clock_s();
    pid_t child;
    int status, r = output && threads ? find_program(program, err) : t3d_err_nomem(err, "a path");

    if (r < 0)
        return r;
    if (posix_spawn(&child, program, NULL, NULL, argv, environ) != 0 ||
        waitpid(child, &status, 0) != child)
        return t3d_err_sys(err, "cannot start", program);
    *row = (struct t3d_speed_row){.unit = "objects",
                                  .work = 1,
                                  .threads = b->threads,
                                  .phase = {"prompt to file"},
                                  .phase_s = {t3d_clock_s() - start}};
    unlink(output);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0
               ? T3D_OK
               : t3d_err_set(err, T3D_FAIL, "no-object", "'%s' failed: run it to see why", program);
}

int bench_generate(struct t3d_speed *b, struct t3d_speed_row *row, struct t3d_err *err)
{
    return generate(b, row, "ply", err);
}

int bench_generate_mesh(struct t3d_speed *b, struct t3d_speed_row *row, struct t3d_err *err)
{
    return generate(b, row, "glb", err);
}
