/* SPDX-License-Identifier: Apache-2.0 */
/* --completion=SHELL from the tables. Each shell's code stands for `t3d-TOOL ...` and for `t3d TOOL
 * ...`. */
#include <string.h>

#include "base/opt_impl.h"

typedef void each_option(FILE *f, const struct t3d_tool *tool, const struct t3d_command *c,
                         const struct t3d_opt *o);

/* Every row of a command: its own, then the common ones; c NULL = the common ones only. */
static void for_each(FILE *f, const struct t3d_tool *tool, const struct t3d_command *c,
                     each_option *fn)
{
    const struct t3d_opt *own = c ? c->opts : NULL;

    for (const struct t3d_opt *o = own; o && o->name; o++)
        fn(f, tool, c, o);
    for (const struct t3d_opt *o = t3di_common_opts; o->name; o++)
        if (!t3di_opt_hidden(own, o))
            fn(f, tool, c, o);
    for (const struct t3d_opt *o = t3di_info_opts; o->name; o++)
        fn(f, tool, c, o);
}

/* The shell function's name: t3d_fetch for fetch, t3d for the front door; no dashes. */
static const char *function_name(const struct t3d_tool *tool, char *buf, size_t n)
{
    snprintf(buf, n, "t3d%s%s", *tool->name ? "_" : "", tool->name);
    for (char *p = buf; *p; p++)
        if (*p == '-')
            *p = '_';
    return buf;
}

static void bash_name(FILE *f, const struct t3d_tool *tool, const struct t3d_command *c,
                      const struct t3d_opt *o)
{
    (void)tool;
    (void)c;
    if (o->letter)
        fprintf(f, "-%c ", o->letter);
    fprintf(f, "--%s ", o->name);
}

static void bash_value(FILE *f, const struct t3d_tool *tool, const struct t3d_command *c,
                       const struct t3d_opt *o)
{
    (void)tool;
    (void)c;
    if (!o->arg)
        return;
    fprintf(f, "        ");
    if (o->letter)
        fprintf(f, "-%c|", o->letter);
    fprintf(f, "--%s) ", o->name);
    if (o->choices)
        fprintf(f, "COMPREPLY=($(compgen -W '%s' -- \"$cur\")); return ;;\n", o->choices);
    else if (strstr(o->arg, "DIR"))
        fprintf(f, "COMPREPLY=($(compgen -d -- \"$cur\")); return ;;\n");
    else if (strstr(o->arg, "FILE") || o->type == T3D_OPT_FILES)
        fprintf(f, "COMPREPLY=($(compgen -f -- \"$cur\")); return ;;\n");
    else
        fprintf(f, "return ;;\n");
}

static void bash_command(FILE *f, const struct t3d_tool *tool, const struct t3d_command *c)
{
    fprintf(f, "    %s)\n        case $prev in\n", c && c->name ? c->name : "*");
    for_each(f, tool, c, bash_value);
    fprintf(f, "        esac\n        words='");
    for_each(f, tool, c, bash_name);
    for (size_t k = 0; !c && tool->commands[k]; k++)
        if (tool->commands[k]->name)
            fprintf(f, "%s ", tool->commands[k]->name);
    fprintf(f, "' ;;\n");
}

static void print_bash(FILE *f, const struct t3d_tool *tool)
{
    const struct t3d_command *rest = NULL;
    char name[80];

    function_name(tool, name, sizeof name);
    fprintf(f, "_%s() {\n", name);
    fprintf(f, "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}\n"
               "    local word words sub=\n"
               "    COMPREPLY=()\n"
               "    for word in \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"; do\n"
               "        case $word in\n        ");
    for (size_t k = 0; tool->commands[k]; k++) {
        if (tool->commands[k]->name)
            fprintf(f, "%s|", tool->commands[k]->name);
        else
            rest = tool->commands[k];
    }
    fprintf(f, "'') sub=$word ;;\n        esac\n    done\n    case $sub in\n");
    for (size_t k = 0; tool->commands[k]; k++)
        if (tool->commands[k]->name)
            bash_command(f, tool, tool->commands[k]);
    bash_command(f, tool, rest);
    fprintf(f, "    esac\n"
               "    case $cur in\n"
               "    -*) COMPREPLY=($(compgen -W \"$words\" -- \"$cur\")) ;;\n");
    if (!rest)
        fprintf(f,
                "    *) [ -n \"$sub\" ] || COMPREPLY=($(compgen -W \"$words\" -- \"$cur\")) ;;\n");
    fprintf(f, "    esac\n}\ncomplete -o default -F _%s %s%s%s\n", name,
            *tool->name ? "t3d-" : "t3d", tool->name, "");
}

/* Text inside single quotes of zsh's _arguments and of fish: quotes and brackets are left out. */
static void put_plain(FILE *f, const char *s)
{
    for (; *s; s++)
        fputc(strchr("'[]:\\", *s) ? ' ' : *s, f);
}

static void zsh_option(FILE *f, const struct t3d_tool *tool, const struct t3d_command *c,
                       const struct t3d_opt *o)
{
    const char *many = o->type == T3D_OPT_FILES || o->type == T3D_OPT_WORDS ? "*" : "";
    char letter[8] = "";

    (void)tool;
    (void)c;
    for (int k = 0; k < 2; k++) {
        if (k == 1 && !o->letter)
            break;
        if (k == 1)
            snprintf(letter, sizeof letter, "-%c", o->letter);
        fprintf(f, "            '%s%s%s%s%s[", many, k ? letter : "--", k ? "" : o->name,
                o->arg && !k ? "=" : "", "");
        put_plain(f, o->help);
        fputc(']', f);
        if (o->arg) {
            fputc(':', f);
            put_plain(f, o->arg);
            fputc(':', f);
            if (o->choices)
                fprintf(f, "(%s)", o->choices);
            else if (strstr(o->arg, "DIR"))
                fputs("_files -/", f);
            else if (strstr(o->arg, "FILE") || o->type == T3D_OPT_FILES)
                fputs("_files", f);
            else
                fputc(' ', f);
        }
        fputs("' \\\n", f);
    }
}

static void zsh_command(FILE *f, const struct t3d_tool *tool, const struct t3d_command *c)
{
    fprintf(f, "    %s)\n        _arguments -s -S \\\n", c && c->name ? c->name : "*");
    for_each(f, tool, c, zsh_option);
    if (c) {
        fprintf(f, "            '*:operand:_files' ;;\n");
        return;
    }
    fprintf(f, "            '1:subcommand:(");
    for (size_t k = 0; tool->commands[k]; k++)
        if (tool->commands[k]->name)
            fprintf(f, "%s%s", k ? " " : "", tool->commands[k]->name);
    fprintf(f, ")' ;;\n");
}

static void print_zsh(FILE *f, const struct t3d_tool *tool)
{
    const struct t3d_command *rest = NULL;
    char name[80];

    function_name(tool, name, sizeof name);
    fprintf(f,
            "#compdef t3d%s%s\n_%s() {\n    local word sub=\n    for word in "
            "${words[2,CURRENT-1]}; do\n"
            "        case $word in\n        ",
            *tool->name ? "-" : "", tool->name, name);
    for (size_t k = 0; tool->commands[k]; k++) {
        if (tool->commands[k]->name)
            fprintf(f, "%s|", tool->commands[k]->name);
        else
            rest = tool->commands[k];
    }
    fprintf(f, "'') sub=$word ;;\n        esac\n    done\n    case $sub in\n");
    for (size_t k = 0; tool->commands[k]; k++)
        if (tool->commands[k]->name)
            zsh_command(f, tool, tool->commands[k]);
    zsh_command(f, tool, rest);
    fprintf(f, "    esac\n}\ncompdef _%s t3d%s%s\n", name, *tool->name ? "-" : "", tool->name);
}

static void fish_line(FILE *f, const struct t3d_tool *tool, const struct t3d_command *c,
                      const struct t3d_opt *o, int front)
{
    const char *sub = c && c->name ? c->name : NULL;

    fprintf(f, "complete -c t3d%s%s", front ? "" : "-", front ? "" : tool->name);
    if (front && sub)
        fprintf(f, " -n '__fish_seen_subcommand_from %s; and __fish_seen_subcommand_from %s'",
                tool->name, sub);
    else if (front || sub)
        fprintf(f, " -n '__fish_seen_subcommand_from %s'", front ? tool->name : sub);
    if (o->letter)
        fprintf(f, " -s %c", o->letter);
    fprintf(f, " -l %s", o->name);
    if (o->arg)
        fputs(strstr(o->arg, "FILE") || strstr(o->arg, "DIR") || o->type == T3D_OPT_FILES ? " -r"
                                                                                          : " -x",
              f);
    if (o->arg && o->choices)
        fprintf(f, " -a '%s'", o->choices);
    fprintf(f, " -d '");
    put_plain(f, o->help);
    fputs("'\n", f);
}

static void fish_option(FILE *f, const struct t3d_tool *tool, const struct t3d_command *c,
                        const struct t3d_opt *o)
{
    fish_line(f, tool, c, o, 0);
    if (*tool->name)
        fish_line(f, tool, c, o, 1);
}

static void print_fish(FILE *f, const struct t3d_tool *tool)
{
    for (size_t k = 0; tool->commands[k]; k++) {
        const struct t3d_command *c = tool->commands[k];

        if (c->name) {
            fprintf(f, "complete -c t3d%s%s -n '__fish_use_subcommand' -a %s -d '",
                    *tool->name ? "-" : "", tool->name, c->name);
            put_plain(f, c->summary);
            fputs("'\n", f);
        }
        if (c->name && *tool->name) {
            fprintf(f, "complete -c t3d -n '__fish_seen_subcommand_from %s' -a %s -d '", tool->name,
                    c->name);
            put_plain(f, c->summary);
            fputs("'\n", f);
        }
        for (const struct t3d_opt *o = c->opts; o && o->name; o++)
            fish_option(f, tool, c, o);
    }
    for_each(f, tool, NULL, fish_option);
}

void t3di_print_completion(FILE *f, const struct t3d_tool *tool, const char *shell)
{
    if (strcmp(shell, "bash") == 0)
        print_bash(f, tool);
    else if (strcmp(shell, "zsh") == 0)
        print_zsh(f, tool);
    else
        print_fish(f, tool);
}
