/* SPDX-License-Identifier: Apache-2.0 */
/* base/opt.h -- one table per command makes the parser, --help, the man page and shell completion.
 *
 *     struct conf { struct t3d_common common; uint64_t count; char *out; struct t3d_list light; };
 *     static const struct t3d_opt opts[] = {
 *         {'n', "count", T3D_OPT_U64, offsetof(struct conf, count), "N", "200", NULL,
 *          "number of objects"},
 *         {0, "light", T3D_OPT_STRING, offsetof(struct conf, light), "NAME", "studio",
 *          "studio flat sun", "light preset"},
 *         {0}};
 *
 * GNU style: --name VALUE, --name=VALUE, -n VALUE, -nVALUE, --no-name for booleans, "--" ends
 * options; underscores are accepted for dashes; options may stand before or after operands. Numbers
 * are strict: the whole word, in range, with optional k/M/G (1000) or Ki/Mi/Gi for T3D_OPT_SIZE.
 * Unknown words get a did-you-mean. No abbreviations. Every default is the string in the table, so
 * --help cannot lie. */
#ifndef T3D_BASE_OPT_H
#define T3D_BASE_OPT_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"

struct t3d_arena;

enum t3d_opt_type {
    T3D_OPT_BOOL,   /* int: 0 or 1; --name, --no-name */
    T3D_OPT_INT,    /* int64_t */
    T3D_OPT_U64,    /* uint64_t */
    T3D_OPT_SIZE,   /* uint64_t with a unit */
    T3D_OPT_DOUBLE, /* double, finite */
    T3D_OPT_STRING, /* const char * (NULL without default) */
    T3D_OPT_WORDS,  /* struct t3d_list: comma list, and the option may be repeated */
    T3D_OPT_FILES   /* struct t3d_list: takes all words up to the next option */
};

struct t3d_list {
    const char **item; /* borrowed from argv or in the arena */
    size_t n;
};

struct t3d_opt {
    char letter;      /* 0 = none */
    const char *name; /* long name with dashes; NULL ends the table */
    enum t3d_opt_type type;
    size_t offset;       /* into the conf struct */
    const char *arg;     /* name of the value in help, NULL for BOOL */
    const char *def;     /* default as one would type it; NULL = none */
    const char *choices; /* space-separated allowed words, or NULL */
    const char *help;    /* one sentence, lower case, no full stop */
};

/* What every command has; the first member of each conf struct. */
struct t3d_common {
    const char *workspace; /* -C, else T3D_WORKSPACE, else "." */
    int64_t threads;       /* -j; 0 = all: the tool harness then puts t3d_cpu_count() here */
    const char *shard;     /* "i/N" with i from 0, "auto", "auto/N" or NULL */
    int redo;              /* do it again even if the key is the same */
    int dry_run;
    const char *rejects;  /* file for rejects and failures, NULL = none */
    const char *progress; /* auto, bar, json, none */
    uint64_t seed;
    int quiet, verbose;
    /* filled by the parser */
    int use_stdin;                     /* operand "-" was given */
    struct t3d_list operands;          /* the others, in order */
    uint32_t shard_index, shard_count; /* 0 of 1 when no --shard */
    const char *given;                 /* '\n'-joined names of options on the command line */
};

struct t3d_command {
    const char *name; /* subcommand; NULL for a tool without subcommands */
    /* As shown in the synopsis, and checked: words separated by spaces, each "NAME" (needed),
     * "[NAME]", with "..." behind it for any number; "[-]" or "-" where records may come from
     * stdin. "[-] [PATH...]", "UID", "PATH...". NULL = none allowed. */
    const char *operands;
    const char *summary; /* one line */
    const struct t3d_opt *opts;
    size_t conf_size; /* sizeof of the conf struct, which begins with struct t3d_common */
    int (*run)(void *conf, struct t3d_err *err); /* returns a grade or an exit code >= 0 */
};

/* Fill conf (conf_size bytes, zeroed) from defaults, the environment (T3D_WORKSPACE) and argv[1..].
 * T3D_USAGE with a message on error. --help and --version are left to the caller: *info is then
 * "help", "version", "man", "summary", "completion-bash", ... and nothing else is checked;
 * otherwise NULL. An own option with the name of a common one (seed with another default, say)
 * takes its place; its offset may be that of the common member. */
int t3d_opt_parse(const struct t3d_command *c, int argc, char **argv, void *conf,
                  struct t3d_arena *a, const char **info, struct t3d_err *err) T3D_MUST_CHECK;

/* 1 when --name stood on the command line. */
int t3d_opt_given(const struct t3d_common *c, const char *name);
/* T3D_USAGE when one of these options, which every command has, stood there: for a command that
 * could only ignore it. names: separated by spaces. */
int t3d_opt_refuse(const struct t3d_common *c, const char *names,
                   struct t3d_err *err) T3D_MUST_CHECK;

/* Part i of N as --shard gives it, from "i/N" or, for "auto" and "auto/N", the environment of Slurm
 * (array and srun), MPI or an indexed job. */
int t3d_shard_parse(const char *text, uint32_t *index, uint32_t *count,
                    struct t3d_err *err) T3D_MUST_CHECK;

/* The word of the space-separated list nearest to `word` (edit distance <= 2), or NULL; into buf.
 */
const char *t3d_did_you_mean(const char *word, const char *list, char *buf, size_t n);

#endif
