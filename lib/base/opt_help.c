/* SPDX-License-Identifier: Apache-2.0 */
/* --help from the tables. */
#include <string.h>

#include "base/opt_impl.h"

enum { TEXT_COLUMN = 30, WIDTH = 100 };

/* Words of s from column `at` on, wrapped; further lines begin at TEXT_COLUMN. */
static void put_wrapped(FILE *f, const char *s, int *at)
{
    for (s += strspn(s, " "); *s; s += strspn(s, " ")) {
        int n = (int)strcspn(s, " ");

        if (*at > TEXT_COLUMN && *at + 1 + n > WIDTH) {
            fprintf(f, "\n%*s", TEXT_COLUMN, "");
            *at = TEXT_COLUMN;
        }
        *at += fprintf(f, "%s%.*s", *at > TEXT_COLUMN ? " " : "", n, s);
        s += n;
    }
}

static void put_option(FILE *f, const struct t3d_opt *o)
{
    /* an argument of several words names them all */
    const char *dots = o->type == T3D_OPT_FILES && !strchr(o->arg, ' ') ? "..." : "";
    const char *arg = o->arg ? o->arg : "";
    char note[256];
    int at;

    if (o->letter)
        at = fprintf(f, "  -%c, ", o->letter);
    else
        at = fprintf(f, "      ");
    at += fprintf(f, "--%s%s%s%s", o->name, o->arg ? " " : "", arg, dots);
    if (at + 2 > TEXT_COLUMN) {
        fprintf(f, "\n");
        at = 0;
    }
    at += fprintf(f, "%*s", TEXT_COLUMN - at, "");
    put_wrapped(f, o->help, &at);
    if (o->choices && o->type != T3D_OPT_BOOL && o->arg) {
        snprintf(note, sizeof note, "(%s)", o->choices);
        put_wrapped(f, note, &at);
    }
    if (o->def) {
        snprintf(note, sizeof note, "[%s]", o->def);
        put_wrapped(f, note, &at);
    }
    fprintf(f, "\n");
}

static void put_table(FILE *f, const char *title, const struct t3d_opt *o)
{
    if (!o || !o->name)
        return;
    fprintf(f, "\n%s:\n", title);
    for (; o->name; o++)
        put_option(f, o);
}

static void put_common(FILE *f, const struct t3d_opt *own)
{
    fprintf(f, "\nOptions of every command:\n");
    for (const struct t3d_opt *o = t3di_common_opts; o->name; o++)
        if (!t3di_opt_hidden(own, o))
            put_option(f, o);
    for (const struct t3d_opt *o = t3di_info_opts; o->name; o++)
        put_option(f, o);
}

static void put_usage(FILE *f, const struct t3d_tool *tool, const struct t3d_command *c,
                      const char *lead)
{
    char name[80];

    t3di_display_name(tool, name, sizeof name);
    fprintf(f, "%s%s%s%s [OPTION]...%s%s\n", lead, name, c->name ? " " : "", c->name ? c->name : "",
            c->operands ? " " : "", c->operands ? c->operands : "");
}

static int only_command(const struct t3d_tool *tool)
{
    return !tool->commands[0]->name && !tool->commands[1];
}

void t3di_print_help(FILE *f, const struct t3d_tool *tool, const struct t3d_command *c)
{
    const struct t3d_command *const *k = tool->commands;

    if (!c && only_command(tool))
        c = k[0];
    if (c) {
        put_usage(f, tool, c, "usage: ");
        fprintf(f, "%s\n", c->summary ? c->summary : tool->summary);
        put_table(f, "Options", c->opts);
        put_common(f, c->opts);
        return;
    }
    for (; *k; k++)
        put_usage(f, tool, *k, k == tool->commands ? "usage: " : "       ");
    fprintf(f, "%s\n\nSubcommands:\n", tool->summary);
    for (k = tool->commands; *k; k++)
        if ((*k)->name)
            fprintf(f, "  %-27s %s\n", (*k)->name, (*k)->summary);
    put_common(f, NULL);
}
