/* SPDX-License-Identifier: Apache-2.0 */
#include "base/tool.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/json.h"
#include "base/log.h"
#include "base/opt_impl.h"
#include "base/tool_impl.h"

static atomic_int stdout_used, stdout_gone;

int t3d_exit_code(int status)
{
    switch (status) {
    case T3D_OK:
    case T3D_END:
        return T3D_EXIT_OK;
    case T3D_USAGE:
        return T3D_EXIT_USAGE;
    case T3D_RETRY:
        return T3D_EXIT_RETRY;
    case T3D_IO:
        return T3D_EXIT_IO;
    default:
        return T3D_EXIT_FAILED;
    }
}

/* A pipe or socket without a reader reports it at once; a file never does. */
static int reader_gone(void)
{
    struct pollfd p = {.fd = STDOUT_FILENO};

    return poll(&p, 1, 0) == 1 && (p.revents & (POLLERR | POLLHUP));
}

int t3d_stdout_closed(void)
{
    if (!stdout_gone && stdout_used && reader_gone())
        stdout_gone = 1;
    return stdout_gone;
}

/* Push out what stdout holds; T3D_END when its reader has gone. */
static int flush_stdout(struct t3d_err *err)
{
    int before = ferror(stdout);

    errno = 0;
    if (fflush(stdout) == 0 && !before)
        return T3D_OK;
    /* An earlier failure has left no errno; a closed pipe is still to be seen. */
    if (errno == EPIPE || reader_gone()) {
        stdout_gone = 1;
        return T3D_END;
    }
    if (errno == 0)
        errno = EIO;
    t3d_err_sys(err, "cannot write", "standard output");
    if (err)
        err->code = T3D_IO; /* whatever the cause: output is lost */
    return T3D_IO;
}

int t3d_emit(const void *cjson_record, struct t3d_err *err)
{
    int r = t3d_ndjson_write(stdout, cjson_record, err);

    stdout_used = 1;
    return r < 0 ? r : flush_stdout(err);
}

/* A standard descriptor that the caller left closed would be given to the first file we open. */
static void guard_descriptors(void)
{
    for (int fd = 0; fd <= 2; fd++)
        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF)
            /* The wrong direction, so that using it fails as before. */
            if (open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY) < 0)
                return;
}

void t3di_display_name(const struct t3d_tool *tool, char *buf, size_t n)
{
    snprintf(buf, n, "t3d%s%s", *tool->name ? " " : "", tool->name);
}

/* Words that are options or their values, seen through the tables of all commands. */
static int skip_option(const struct t3d_tool *tool, int argc, char **argv, int i)
{
    const struct t3d_opt *o = NULL;
    int in_word = 1; /* the value stands in the same word */
    char name[64];

    for (size_t k = 0; tool->commands[k] && (!o || o->type == T3D_OPT_BOOL); k++) {
        const struct t3d_opt *own = tool->commands[k]->opts;

        if (argv[i][1] == '-') {
            size_t n = t3di_opt_name(argv[i] + 2, name, sizeof name);

            o = n ? t3di_opt_find(own, name, n, 0) : NULL;
            in_word = strchr(argv[i], '=') != NULL;
            continue;
        }
        for (const char *s = argv[i] + 1; *s; s++) {
            o = t3di_opt_find(own, NULL, 0, *s);
            in_word = s[1] != 0;
            if (!o || o->type != T3D_OPT_BOOL)
                break;
        }
    }
    if (!o || o->type == T3D_OPT_BOOL || !o->arg || in_word)
        return i + 1;
    if (o->type != T3D_OPT_FILES)
        return i + 2;
    for (i++; i < argc && argv[i][0] != '-'; i++)
        ;
    return i;
}

/* Index of the first word that is no option and no option's value, argc when there is none. */
static int first_word(const struct t3d_tool *tool, int argc, char **argv)
{
    int i = 1;

    while (i < argc && argv[i][0] == '-' && argv[i][1] && strcmp(argv[i], "--") != 0)
        i = skip_option(tool, argc, argv, i);
    return T3D_MIN(i, argc);
}

int t3d_first_operand(int argc, char **argv)
{
    static const struct t3d_command none = {.summary = ""};
    static const struct t3d_command *const commands[] = {&none, NULL};
    static const struct t3d_tool any = {.commands = commands};
    int i = first_word(&any, argc, argv);

    return i < argc && argv[i][0] != '-' ? i : 0;
}

const struct t3d_command *t3di_find_command(const struct t3d_tool *tool, int argc, char **argv,
                                            int *at)
{
    int i = first_word(tool, argc, argv);

    *at = 0;
    for (size_t k = 0; i < argc && tool->commands[k]; k++) {
        const char *name = tool->commands[k]->name;

        if (name && strcmp(name, argv[i]) == 0) {
            *at = i;
            return tool->commands[k];
        }
    }
    *at = i < argc ? i : 0;
    for (size_t k = 0; tool->commands[k]; k++)
        if (!tool->commands[k]->name) {
            *at = 0;
            return tool->commands[k];
        }
    return NULL;
}

static int subcommand_missing(const struct t3d_tool *tool, const char *word, struct t3d_arena *a,
                              struct t3d_err *err)
{
    const char *list = "", *hint;
    char near[64];

    for (size_t k = 0; tool->commands[k] && list; k++)
        list = t3d_sprintf(a, "%s%s%s", list, k ? " " : "", tool->commands[k]->name);
    if (!list)
        return t3d_err_nomem(err, "the options");
    if (!word)
        return t3d_err_set(err, T3D_USAGE, "usage", "a subcommand is needed: %s", list);
    hint = t3d_did_you_mean(word, list, near, sizeof near);
    return t3d_err_set(err, T3D_USAGE, "usage", "unknown subcommand '%s' (%s%s%s)", word,
                       hint ? "did you mean '" : "there are: ", hint ? hint : list,
                       hint ? "'?" : "");
}

/* Answer --help and its like. c NULL = no subcommand was named. */
static int answer(const struct t3d_tool *tool, const struct t3d_command *c, const char *info)
{
    char name[80];

    t3di_display_name(tool, name, sizeof name);
    if (tool->answer && (!c || !c->name) && tool->answer(info))
        return T3D_OK;
    if (strcmp(info, "help") == 0)
        t3di_print_help(stdout, tool, c);
    else if (strcmp(info, "version") == 0)
        printf("%s %s\n", name, T3D_VERSION);
    else if (strcmp(info, "summary") == 0)
        printf("%s\n", tool->summary);
    else if (strcmp(info, "man") == 0)
        t3di_print_man(stdout, tool);
    else
        t3di_print_completion(stdout, tool, strchr(info, '-') + 1);
    return T3D_OK;
}

static int run_command(const struct t3d_tool *tool, const struct t3d_command *c, void *conf,
                       struct t3d_err *err)
{
    struct t3d_common *common = conf;
    char name[80];
    int r;

    t3di_display_name(tool, name, sizeof name);
    t3d_log_init(name, common->quiet     ? T3D_LOG_ERROR
                       : common->verbose ? T3D_LOG_DEBUG
                                         : T3D_LOG_INFO);
    if (!common->threads)
        common->threads = t3d_cpu_count();
    if (tool->before && (r = tool->before((int)common->threads, err)) < 0)
        return r;
    r = c->run(conf, err);
    if (r >= 0 && t3d_stop_requested())
        return t3d_stop_requested();
    return r == T3D_END && stdout_gone ? T3D_OK : r;
}

/* No subcommand was found: --help and its like can be answered all the same. */
static int without_command(const struct t3d_tool *tool, int argc, char **argv, int at,
                           struct t3d_arena *a, struct t3d_err *err)
{
    static const struct t3d_command bare = {.operands = "[-] [WORD...]"};
    struct t3d_common common = {0};
    const char *info = NULL;

    if (t3d_opt_parse(&bare, argc, argv, &common, a, &info, err) == T3D_OK && info)
        return answer(tool, NULL, info);
    return subcommand_missing(tool, at ? argv[at] : NULL, a, err);
}

static int with_command(const struct t3d_tool *tool, const struct t3d_command *c, int argc,
                        char **argv, struct t3d_arena *a, struct t3d_err *err)
{
    void *conf = t3d_alloc(a, 1, c->conf_size);
    const char *info;
    int r;

    if (!conf)
        return t3d_err_nomem(err, "the options");
    r = t3d_opt_parse(c, argc, argv, conf, a, &info, err);
    if (r < 0)
        return r;
    return info ? answer(tool, c, info) : run_command(tool, c, conf, err);
}

/* The exit code, with the error told and stdout checked. */
static int finish(const struct t3d_tool *tool, const struct t3d_command *c, int r,
                  struct t3d_err *err)
{
    char name[80];
    int out;

    if (r < 0) {
        t3d_error("%s", err->msg);
        t3di_display_name(tool, name, sizeof name);
        if (r == T3D_USAGE)
            fprintf(stderr, "Try '%s%s%s --help'.\n", name, c && c->name ? " " : "",
                    c && c->name ? c->name : "");
    }
    out = flush_stdout(err);
    if (r < 0)
        return t3d_exit_code(r);
    if (out < 0) {
        t3d_error("%s", err->msg);
        return t3d_exit_code(out);
    }
    if (out == T3D_END && !t3d_stop_requested())
        return T3D_EXIT_OK;
    return r;
}

int t3d_tool_main(const struct t3d_tool *tool, int argc, char **argv)
{
    struct t3d_arena a = {0};
    struct t3d_err err = {0};
    const struct t3d_command *c;
    char name[80];
    int at, r, code;

    guard_descriptors();
    t3d_json_watch_memory();
    t3di_catch_signals();
    t3di_display_name(tool, name, sizeof name);
    t3d_log_init(name, T3D_LOG_INFO);
    c = t3di_find_command(tool, argc, argv, &at);
    if (c && at) {
        for (int i = at; i < argc; i++) /* argv[argc] is NULL */
            argv[i] = argv[i + 1];
        argc--;
    }
    r = c ? with_command(tool, c, argc, argv, &a, &err)
          : without_command(tool, argc, argv, at, &a, &err);
    code = finish(tool, c, r, &err);
    t3d_arena_free(&a);
    return code;
}
