/* SPDX-License-Identifier: Apache-2.0 */
/* base/tool.h -- what the main() of every t3d-<tool> does.
 *
 *     static const struct t3d_command *const commands[] = {&only, NULL};
 *     static const struct t3d_tool tool = {.name = "splits", ..., .commands = commands};
 *
 *     int main(int argc, char **argv)
 *     {
 *         return t3d_tool_main(&tool, argc, argv);
 *     }
 *
 * Parses, answers --help, --version, --help=man and --completion=SHELL from the tables, sets up the
 * log, installs the signal handlers, runs the command, prints the error in one line, checks that
 * stdout could be written, and returns the exit code of the design: 0 done, 1 failed, 2 usage, 3
 * some objects failed, 74 I/O, 75 retry later or SIGTERM, 130 interrupted; a reader that closed our
 * stdout is a quiet 0. */
#ifndef T3D_BASE_TOOL_H
#define T3D_BASE_TOOL_H

#include "base/opt.h"

enum {
    T3D_EXIT_OK = 0,
    T3D_EXIT_FAILED = 1,
    T3D_EXIT_USAGE = 2,
    T3D_EXIT_PARTIAL = 3,
    T3D_EXIT_IO = 74,
    T3D_EXIT_RETRY = 75,
    T3D_EXIT_INTERRUPTED = 130
};

struct t3d_tool {
    /* "render": the program is t3d-render, messages begin "t3d render:". "" is t3d itself. */
    const char *name;
    const char *summary; /* one line */
    const char *about;   /* paragraphs for the man page, plain text, may be NULL */
    const struct t3d_command *const *commands; /* NULL-terminated */
    /* Called before the command when not NULL, with the thread count: a tool that parses files
     * opens its sandbox here, before memory is large or threads exist. */
    int (*before)(int threads, struct t3d_err *err);
    /* May answer --help ("help") and its like (see base/opt.h) in place of the harness: 1 = it has.
     * For the front door, whose help names other programs; may be NULL. */
    int (*answer)(const char *info);
};

int t3d_tool_main(const struct t3d_tool *tool, int argc, char **argv);

/* Index in argv of the first word that is neither an option of every command nor such an option's
 * value: the tool's or subcommand's name. 0 when there is none. */
int t3d_first_operand(int argc, char **argv);

/* The exit code of a grade. */
int t3d_exit_code(int status);

/* Set by SIGINT, SIGTERM, SIGUSR1: finish what is in hand, save, return. 0, or the exit code to
 * give. */
int t3d_stop_requested(void);

/* 1 once our stdout's reader has gone: stop quietly. */
int t3d_stdout_closed(void);

/* One record to stdout, flushed so that the next tool of the pipe can work. A closed pipe is
 * T3D_END: the run method may return it as it is. */
int t3d_emit(const void *cjson_record, struct t3d_err *err) T3D_MUST_CHECK;

/* Processors this process may use: affinity mask, cgroup cpu.max, SLURM_CPUS_PER_TASK. */
int t3d_cpu_count(void);

#endif
