/* SPDX-License-Identifier: Apache-2.0 */
/* base/opt_impl.h -- the option tables as the parser, the help and the completion see them. */
#ifndef T3D_BASE_OPT_IMPL_H
#define T3D_BASE_OPT_IMPL_H

#include <stdio.h>

#include "base/opt.h"
#include "base/tool.h"

/* What every command has, into struct t3d_common. */
extern const struct t3d_opt t3di_common_opts[];
/* --help, --version, --completion: answered by the harness; offset is unused. */
extern const struct t3d_opt t3di_info_opts[];

/* The row of a long name (n bytes, dashes) or of a letter, or NULL; own rows come first. */
const struct t3d_opt *t3di_opt_find(const struct t3d_opt *own, const char *name, size_t n,
                                    char letter);

/* 1 when the command's own table has a row of this name, which hides the common one. */
int t3di_opt_hidden(const struct t3d_opt *own, const struct t3d_opt *common);

/* Copy a long name as typed (up to '=' or the end) into buf with dashes for underscores; its
 * length, or 0 when it does not fit. */
size_t t3di_opt_name(const char *typed, char *buf, size_t n);

/* What to use in place of an option that other training scripts have (name with dashes), or NULL.
 */
const char *t3di_opt_advice(const char *name);

/* Convert text and store it at conf + o->offset; lists get the items appended. */
int t3di_opt_store(const struct t3d_opt *o, const char *text, void *conf, struct t3d_arena *a,
                   struct t3d_err *err);

/* The command a command line means. *at = index of the subcommand word in argv, 0 when there is
 * none; NULL when a subcommand is needed and none of them stands there. */
const struct t3d_command *t3di_find_command(const struct t3d_tool *tool, int argc, char **argv,
                                            int *at);

/* What --help, --help=man and --completion=SHELL print. c NULL = the tool with all its commands. */
void t3di_print_help(FILE *f, const struct t3d_tool *tool, const struct t3d_command *c);
void t3di_print_man(FILE *f, const struct t3d_tool *tool);
void t3di_print_completion(FILE *f, const struct t3d_tool *tool, const char *shell);

/* "t3d render" or "t3d". */
void t3di_display_name(const struct t3d_tool *tool, char *buf, size_t n);

#endif
