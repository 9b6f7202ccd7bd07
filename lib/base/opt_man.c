/* SPDX-License-Identifier: Apache-2.0 */
/* --help=man: a page in mdoc(7) from the tables. */
#include <ctype.h>
#include <string.h>

#include "base/opt_impl.h"

/* What roff would read as its own is escaped. */
static void put_inner(FILE *f, const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (s[i] == '\\')
            fputs("\\e", f);
        else if (s[i] == '-')
            fputs("\\-", f);
        else
            fputc(s[i], f);
    }
}

/* The same at the beginning of a line, where a dot or an apostrophe would make a request. */
static void put_text(FILE *f, const char *s, size_t n)
{
    if (n && (*s == '.' || *s == '\''))
        fputs("\\&", f);
    put_inner(f, s, n);
}

/* An argument of a macro: a word that mdoc would take for a macro or a delimiter must not be one.
 */
static void put_arg(FILE *f, const char *s)
{
    fprintf(f, "\\&");
    put_text(f, s, strlen(s));
}

/* Running text in lines of at most 78 characters; a sentence ends its line, as mdoc wants it. */
static void put_words(FILE *f, const char *s, size_t n)
{
    size_t at = 0, len;

    for (const char *end = s + n; s < end; s += len) {
        while (s < end && *s == ' ')
            s++;
        len = 0;
        while (s + len < end && s[len] != ' ')
            len++;
        if (!len)
            break;
        if (at && (at + 1 + len > 70 || strchr(".?!", s[-2]))) {
            fputc('\n', f);
            at = 0;
        }
        if (at)
            fputc(' ', f);
        at += len + (at > 0);
        if (at == len)
            put_text(f, s, len);
        else
            put_inner(f, s, len);
    }
    fputc('\n', f);
}

/* One sentence: capital first letter, full stop. */
static void put_sentence(FILE *f, const char *s)
{
    char text[512];
    size_t n = (size_t)snprintf(text, sizeof text - 1, "%s", s);

    if (!n || n >= sizeof text - 1)
        n = strlen(text);
    if (n && text[n - 1] != '.')
        text[n++] = '.';
    text[0] = (char)toupper((unsigned char)text[0]);
    put_words(f, text, n);
}

static void put_option(FILE *f, const struct t3d_opt *o)
{
    fprintf(f, ".It ");
    if (o->letter)
        fprintf(f, "Fl %c , ", o->letter);
    fprintf(f, "Fl \\-");
    put_text(f, o->name, strlen(o->name));
    if (o->arg) {
        fprintf(f, " Ar ");
        put_arg(f, o->arg);
        if (o->type == T3D_OPT_FILES && !strchr(o->arg, ' '))
            fprintf(f, " ...");
    }
    fputc('\n', f);
    put_sentence(f, o->help);
    if (o->choices && o->arg) {
        fprintf(f, "One of:\n");
        for (const char *p = o->choices + strspn(o->choices, " "); *p; p += strspn(p, " ")) {
            size_t n = strcspn(p, " ");

            fprintf(f, ".Cm ");
            put_text(f, p, n);
            fputs(p[n] && p[n + strspn(p + n, " ")] ? " ,\n" : " .\n", f);
            p += n;
        }
    }
    if (o->def && *o->def) {
        fprintf(f, "Default:\n.Li ");
        put_arg(f, o->def);
        fputs("\n", f);
    }
}

static void put_options(FILE *f, const struct t3d_opt *o)
{
    if (!o || !o->name)
        return;
    fprintf(f, ".Bl -tag -width Ds\n");
    for (; o->name; o++)
        put_option(f, o);
    fprintf(f, ".El\n");
}

static void put_operands(FILE *f, const char *s)
{
    for (s += strspn(s, " "); *s; s += strspn(s, " ")) {
        size_t n = strcspn(s, " ");
        int optional = *s == '[';
        size_t name = n - 2 * (size_t)optional;
        const char *p = s + optional;
        int dots = name > 3 && memcmp(p + name - 3, "...", 3) == 0;

        fputs(optional ? ".Op Ar \\&" : ".Ar \\&", f);
        put_text(f, p, name - 3 * (size_t)dots);
        fputs(dots ? " ...\n" : "\n", f);
        s += n;
    }
}

static void put_synopsis(FILE *f, const struct t3d_tool *tool)
{
    fprintf(f, ".Sh SYNOPSIS\n");
    for (size_t k = 0; tool->commands[k]; k++) {
        const struct t3d_command *c = tool->commands[k];

        fprintf(f, ".Nm%s%s", *tool->name ? " " : "", *tool->name ? "t3d " : "");
        fprintf(f, "%s\n", tool->name);
        if (c->name)
            fprintf(f, ".Cm %s\n", c->name);
        fprintf(f, ".Op Ar option ...\n");
        if (c->operands)
            put_operands(f, c->operands);
    }
}

static void put_paragraphs(FILE *f, const char *s)
{
    int fresh = 1;

    for (; *s; s += strcspn(s, "\n"), s += *s == '\n') {
        size_t n = strcspn(s, "\n");

        if (n == 0) {
            if (!fresh)
                fprintf(f, ".Pp\n");
            fresh = 1;
            continue;
        }
        put_words(f, s, n);
        fresh = 0;
    }
}

static void put_commands(FILE *f, const struct t3d_tool *tool)
{
    for (size_t k = 0; tool->commands[k]; k++) {
        const struct t3d_command *c = tool->commands[k];

        if (c->name) {
            fprintf(f, ".Ss %s\n", c->name);
            put_sentence(f, c->summary);
        }
        put_options(f, c->opts);
    }
}

void t3di_print_man(FILE *f, const struct t3d_tool *tool)
{
    const char *dash = *tool->name ? "-" : "";

    fprintf(f, ".\\\" Made from the option tables by t3d%s%s --help=man.\n", dash, tool->name);
    fprintf(f, ".Dd %s\n.Dt T3D%s", "November 22, 2026", dash);
    for (const char *p = tool->name; *p; p++)
        fputc(toupper((unsigned char)*p), f);
    fprintf(f, " 1\n.Os\n.Sh NAME\n.Nm t3d%s%s\n.Nd %s\n", dash, tool->name, tool->summary);
    put_synopsis(f, tool);
    fprintf(f, ".Sh DESCRIPTION\n");
    put_sentence(f, tool->summary);
    if (tool->about) {
        fprintf(f, ".Pp\n");
        put_paragraphs(f, tool->about);
    }
    put_commands(f, tool);
    fprintf(f, ".Ss Options of every command\n"
               "Options may stand before or after subcommands and operands;\n"
               "underscores in their names are read as dashes,\n"
               ".Fl \\-\n"
               "ends them.\n"
               ".Bl -tag -width Ds\n");
    for (const struct t3d_opt *o = t3di_common_opts; o->name; o++)
        put_option(f, o);
    for (const struct t3d_opt *o = t3di_info_opts; o->name; o++)
        put_option(f, o);
    fprintf(f, ".El\n"
               ".Sh ENVIRONMENT\n"
               ".Bl -tag -width Ds\n"
               ".It Ev T3D_WORKSPACE\n"
               "Folder of the workspace when\n"
               ".Fl C\n"
               "is not given.\n"
               ".It Ev T3D_ISA\n"
               "Instruction sets to stop at:\n"
               ".Cm portable ,\n"
               ".Cm avx2\n"
               "or\n"
               ".Cm avx512 .\n"
               ".El\n"
               ".Sh EXIT STATUS\n"
               ".Bl -tag -width Ds\n"
               ".It 0\n"
               "All done; a rejected object is a result.\n"
               ".It 1\n"
               "The run failed.\n"
               ".It 2\n"
               "The command line is wrong.\n"
               ".It 3\n"
               "Finished, but some objects failed.\n"
               ".It 74\n"
               "The disk is full or an input/output error occurred.\n"
               ".It 75\n"
               "Try again later, or stopped by SIGTERM; the same command goes on from there.\n"
               ".It 130\n"
               "Interrupted.\n"
               ".El\n");
    if (*tool->name)
        fprintf(f, ".Sh SEE ALSO\n.Xr t3d 1\n");
}
