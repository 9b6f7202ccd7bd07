/* SPDX-License-Identifier: Apache-2.0 */
/* t3d -- the front door: `t3d render ...` runs the program t3d-render that lies beside this one. */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/json.h"
#include "base/log.h"
#include "base/sandbox.h"
#include "base/tool.h"
#include "base/version.h"
#include "draw/draw.h"
#include "image/version.h"
#include "num/device.h"
#include "num/version.h"
#include "store/status.h"
#include "store/version.h"

enum { MAX_TOOLS = 64, NAME_SIZE = 32 };

extern char **environ;

struct tools {
    char name[MAX_TOOLS][NAME_SIZE]; /* sorted; without "t3d-" */
    size_t n;
};

/* The folder of this program with a '/' at the end; "" when the system does not tell. Tools are
 * never looked for in the current folder or in PATH. */
static void program_folder(char folder[PATH_MAX])
{
    ssize_t n = readlink("/proc/self/exe", folder, PATH_MAX - 1);

    while (n > 0 && folder[n - 1] != '/')
        n--;
    folder[n > 0 ? n : 0] = 0;
}

static int tool_path(const char *name, char *path, size_t n)
{
    char folder[PATH_MAX];

    program_folder(folder);
    for (const char *p = name; *p; p++)
        if (!islower((unsigned char)*p) && !isdigit((unsigned char)*p) && *p != '-')
            return 0;
    return *folder && (size_t)snprintf(path, n, "%st3d-%s", folder, name) < n &&
           access(path, X_OK) == 0;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(a, b);
}

static void find_tools(struct tools *t)
{
    char folder[PATH_MAX], path[PATH_MAX + NAME_SIZE];
    struct dirent *e;
    DIR *d;

    t->n = 0;
    program_folder(folder);
    d = *folder ? opendir(folder) : NULL;
    while (d && (e = readdir(d)) && t->n < MAX_TOOLS) {
        if (strncmp(e->d_name, "t3d-", 4) != 0 || strlen(e->d_name + 4) >= NAME_SIZE ||
            !tool_path(e->d_name + 4, path, sizeof path))
            continue;
        snprintf(t->name[t->n++], NAME_SIZE, "%s", e->d_name + 4);
    }
    if (d)
        closedir(d);
    qsort(t->name, t->n, sizeof t->name[0], by_name);
}

/* What `t3d-NAME OPTION` prints goes to our stdout, behind `lead`; nothing when it fails. */
static void copy_answer(const char *name, const char *option, const char *lead)
{
    char path[PATH_MAX + NAME_SIZE], buf[4096], option_copy[64];
    char *argv[] = {path, option_copy, NULL};
    posix_spawn_file_actions_t actions;
    int fd[2], status;
    ssize_t n;
    pid_t pid;

    if (!tool_path(name, path, sizeof path) || pipe(fd) < 0)
        return;
    snprintf(option_copy, sizeof option_copy, "%s", option);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, fd[1], STDOUT_FILENO);
    posix_spawn_file_actions_addclose(&actions, fd[0]);
    posix_spawn_file_actions_addclose(&actions, fd[1]);
    status = posix_spawn(&pid, path, &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    close(fd[1]);
    for (int first = 1; status == 0 && (n = read(fd[0], buf, sizeof buf)) > 0; first = 0)
        printf("%s%.*s", first ? lead : "", (int)n, buf);
    close(fd[0]);
    if (status == 0)
        waitpid(pid, &status, 0);
}

/* --- help --- */

static const char *const own[] = {"help", "status", "version"};

static void list_tools(FILE *f)
{
    struct tools t;
    char lead[NAME_SIZE + 16];

    fprintf(f, "usage: t3d TOOL [OPTION]... [OPERAND]...\n"
               "from collections of 3D objects to training data, models, and measures\n\nTools:\n");
    fflush(f);
    find_tools(&t);
    for (size_t i = 0; i < t.n; i++) {
        snprintf(lead, sizeof lead, "  %-12s ", t.name[i]);
        copy_answer(t.name[i], "--help=summary", lead);
    }
    fprintf(f, "  %-12s %s\n", "help", "this list, or the help of a tool");
    fprintf(f, "  %-12s %s\n", "status", "how far the workspace is");
    fprintf(f, "  %-12s %s\n", "version", "the version, with what it was built from");
    fprintf(f,
            "\n't3d help TOOL' tells more, 't3d TOOL --help=man | man -l -' is its manual page.\n");
}

struct conf {
    struct t3d_common common;
};

static void run_tool(const char *name, char **argv)
{
    char path[PATH_MAX + NAME_SIZE];

    if (!tool_path(name, path, sizeof path))
        return;
    argv[0] = path;
    execv(path, argv);
    t3d_error("cannot run '%s': %s", path, strerror(errno));
}

static int no_such_tool(const char *word, struct t3d_err *err)
{
    char list[MAX_TOOLS * NAME_SIZE] = "", near[NAME_SIZE];
    const char *hint;
    static const char *const elsewhere[][2] = {
        {"preprocess", "the stages are 't3d filter', 'render', 'embed' and 'splits'"},
        {"download", "objects come by 't3d fetch', weights by 't3d fetch weights'"},
        {"finetune", "there is no fine-tuning: train anew, 't3d train --run NAME'"},
        {"distill", "fewer steps are 't3d generate --num-diffusion-steps N'"},
        {"export", "'t3d generate --format' lists the formats"},
        {"human", "people are not asked: 't3d evaluate' measures"}};
    struct tools t;
    size_t n = 0;

    for (size_t i = 0; i < T3D_COUNT(elsewhere); i++)
        if (strcmp(word, elsewhere[i][0]) == 0)
            return t3d_err_set(err, T3D_USAGE, "usage", "there is no tool '%s': %s", word,
                               elsewhere[i][1]);
    find_tools(&t);
    for (size_t i = 0; i < T3D_COUNT(own); i++)
        n += (size_t)snprintf(list + n, sizeof list - n, "%s ", own[i]);
    for (size_t i = 0; i < t.n && n < sizeof list; i++)
        n += (size_t)snprintf(list + n, sizeof list - n, "%s ", t.name[i]);
    hint = t3d_did_you_mean(word, list, near, sizeof near);
    return t3d_err_set(err, T3D_USAGE, "usage", "there is no tool '%s'%s%s%s", word,
                       hint ? " (did you mean '" : "", hint ? hint : "", hint ? "'?)" : "");
}

static int is_own(const char *word)
{
    for (size_t i = 0; i < T3D_COUNT(own); i++)
        if (strcmp(word, own[i]) == 0)
            return 1;
    return 0;
}

static int help(void *conf, struct t3d_err *err)
{
    const struct t3d_list *words = &((struct conf *)conf)->common.operands;
    char tool[NAME_SIZE], sub[NAME_SIZE], option[] = "--help";
    char *argv[] = {tool, option, NULL, NULL};

    if (!words->n) {
        list_tools(stdout);
        return T3D_OK;
    }
    if (is_own(words->item[0])) {
        execl("/proc/self/exe", "t3d", words->item[0], "--help", (char *)NULL);
        return t3d_err_sys(err, "cannot run", "t3d");
    }
    if (words->n > 1) {
        snprintf(sub, sizeof sub, "%s", words->item[1]);
        argv[1] = sub;
        argv[2] = option;
    }
    run_tool(words->item[0], argv);
    return no_such_tool(words->item[0], err);
}

/* --- version --- */

static int no_request(struct t3d_sandbox_child *c, void *ctx)
{
    (void)c;
    (void)ctx;
    return 0;
}

static const char *sandbox_state(void)
{
    struct t3d_sandbox_options o = {.run = no_request, .wall_s = 1};
    struct t3d_sandbox *sb;
    const char *state = "refused: child processes cannot be made";

    if (t3d_sandbox_open(&sb, 1, &o, NULL) == T3D_OK) {
        state = t3d_sandbox_has_seccomp(sb) ? "seccomp filter and resource limits"
                                            : "resource limits only: the kernel refuses seccomp";
        t3d_sandbox_close(sb);
    }
    return state;
}

static void print_devices(void)
{
    char text[256];

    t3d_device_support(text, sizeof text);
    printf("devices    %s\n", text);
    for (int i = 0; i < t3d_device_count(); i++) {
        t3d_device_describe(i, text, sizeof text);
        printf("           cuda:%d: %s\n", i, text);
    }
}

static int version(void *conf, struct t3d_err *err)
{
    (void)conf;
    (void)err;
    printf("t3d %s\n", T3D_VERSION);
    printf("compiler   %s, %s\n", t3d_compiler(), t3d_build_class());
    printf("libraries  %s, %s\n           %s, %s\n           %s\n", t3d_base_libraries(),
           t3d_sandbox_libraries(), t3d_store_libraries(), t3d_image_libraries(),
           t3d_num_libraries());
    printf("processor  %d threads, %s\n", t3d_cpu_count(), t3d_draw_isa());
    print_devices();
    printf("sandbox    %s\n", sandbox_state());
    return T3D_OK;
}

/* --- status --- */

struct status_conf {
    struct t3d_common common;
    int json;
};

static const struct t3d_opt status_opts[] = {{0, "json", T3D_OPT_BOOL,
                                              offsetof(struct status_conf, json), NULL, NULL, NULL,
                                              "print one JSON object"},
                                             {0}};

static void print_bytes(const char *name, double bytes)
{
    static const char *const unit[] = {"B", "kB", "MB", "GB", "TB", "PB"};
    size_t u = 0;

    for (; bytes >= 1000 && u + 1 < T3D_COUNT(unit); u++)
        bytes /= 1000;
    printf("%-10s %.*f %s\n", name, u ? 1 : 0, bytes, unit[u]);
}

/* "    42  rejected too-few-polygons" for each reason */
static void print_reasons(const cJSON *stage, const char *key, const char *word)
{
    const cJSON *reason;

    cJSON_ArrayForEach (reason, cJSON_GetObjectItemCaseSensitive(stage, key))
        printf("    %8.0f  %s %s\n", reason->valuedouble, word, reason->string);
}

static void print_status(const cJSON *o)
{
    static const char *const column[] = {"ok", "rejected", "failed", "claimed", "other", "to_do"};
    const cJSON *item, *stages = cJSON_GetObjectItemCaseSensitive(o, "stages");
    int width = 12;

    cJSON_ArrayForEach (item, stages)
        width = T3D_MAX(width, (int)strlen(t3d_json_str(item, "stage", "")));
    printf("%-10s %.0f, %.0f with captions\n\n%-*s", "objects", t3d_json_num(o, "objects", 0),
           t3d_json_num(o, "captioned", 0), width, "stage");
    for (size_t i = 0; i < T3D_COUNT(column); i++)
        printf(" %9s", strcmp(column[i], "to_do") == 0 ? "to do" : column[i]);
    printf("\n");
    cJSON_ArrayForEach (item, stages) {
        printf("%-*s", width, t3d_json_str(item, "stage", ""));
        for (size_t i = 0; i < T3D_COUNT(column); i++)
            printf(" %9.0f", t3d_json_num(item, column[i], 0));
        printf("\n");
        print_reasons(item, "reasons", "rejected");
        print_reasons(item, "failures", "failed");
    }
    printf("\n");
    cJSON_ArrayForEach (item, cJSON_GetObjectItemCaseSensitive(o, "splits"))
        printf("%-10s %.0f\n", item->string, item->valuedouble);
    cJSON_ArrayForEach (item, cJSON_GetObjectItemCaseSensitive(o, "bytes"))
        print_bytes(item->string, item->valuedouble);
}

static int status(void *conf, struct t3d_err *err)
{
    const struct status_conf *c = conf;
    cJSON *o = NULL;
    int r = t3d_status(&o, c->common.workspace, err);

    if (r == T3D_OK && c->json)
        r = t3d_ndjson_write(stdout, o, err);
    else if (r == T3D_OK)
        print_status(o);
    cJSON_Delete(o);
    return r;
}

/* --- completion --- */

static void complete_bash(const struct tools *t)
{
    printf("_t3d() {\n    local cur=${COMP_WORDS[COMP_CWORD]} f\n    if [ \"$COMP_CWORD\" = 1 ]; "
           "then\n"
           "        COMPREPLY=($(compgen -W 'help status version");
    for (size_t i = 0; i < t->n; i++)
        printf(" %s", t->name[i]);
    printf("' -- \"$cur\"))\n        return\n    fi\n    f=_t3d_${COMP_WORDS[1]//-/_}\n"
           "    if declare -F \"$f\" >/dev/null; then \"$f\"; fi\n}\n"
           "complete -o default -F _t3d t3d\n");
}

static void complete_zsh(const struct tools *t)
{
    printf("_t3d() {\n    case $service in\n    t3d-*) _t3d_${${service#t3d-}//-/_}; return ;;\n   "
           " esac\n"
           "    if (( CURRENT == 2 )); then\n        compadd help status version");
    for (size_t i = 0; i < t->n; i++)
        printf(" %s", t->name[i]);
    printf("\n        return\n    fi\n    local f=_t3d_${words[2]//-/_}\n"
           "    if (( $+functions[$f] )); then\n        shift words\n        (( CURRENT-- ))\n"
           "        $f\n    else\n        _files\n    fi\n}\n"
           "if [ \"$funcstack[1]\" = _t3d ]; then _t3d \"$@\"; else compdef _t3d t3d; fi\n");
}

/* The tools' own code first, then the front door's. */
static void complete(const char *shell)
{
    struct tools t;
    char option[64], lead[64];

    find_tools(&t);
    if (strcmp(shell, "zsh") == 0) {
        printf("#compdef t3d");
        for (size_t i = 0; i < t.n; i++)
            printf(" t3d-%s", t.name[i]);
        printf("\n");
    }
    fflush(stdout);
    snprintf(option, sizeof option, "--completion=%s", shell);
    for (size_t i = 0; i < t.n; i++) {
        snprintf(lead, sizeof lead, "# t3d-%s\n", t.name[i]);
        copy_answer(t.name[i], option, lead);
    }
    printf("# t3d\n");
    if (strcmp(shell, "bash") == 0)
        complete_bash(&t);
    else if (strcmp(shell, "zsh") == 0)
        complete_zsh(&t);
    else
        for (size_t i = 0; i < t.n + T3D_COUNT(own); i++)
            printf("complete -c t3d -n '__fish_use_subcommand' -a %s\n",
                   i < t.n ? t.name[i] : own[i - t.n]);
}

/* --- main --- */

static int answer(const char *info)
{
    static const char completion[] = "completion-";

    if (strcmp(info, "help") == 0)
        list_tools(stdout);
    else if (strncmp(info, completion, strlen(completion)) == 0)
        complete(info + strlen(completion));
    else
        return 0;
    return 1;
}

/* Reached without a word that names a tool. */
static int no_tool(void *conf, struct t3d_err *err)
{
    const struct t3d_list *words = &((struct conf *)conf)->common.operands;

    if (words->n)
        return no_such_tool(words->item[0], err);
    return t3d_err_set(err, T3D_USAGE, "usage", "a tool is needed: 't3d help' lists them");
}

static const struct t3d_command front = {.operands = "[TOOL]",
                                         .summary = "run a tool",
                                         .conf_size = sizeof(struct conf),
                                         .run = no_tool};
static const struct t3d_command help_command = {.name = "help",
                                                .operands = "[TOOL] [SUBCOMMAND]",
                                                .summary =
                                                    "list the tools, or show the help of one",
                                                .conf_size = sizeof(struct conf),
                                                .run = help};
static const struct t3d_command status_command = {
    .name = "status",
    .summary = "per stage: objects done, rejected (by reason), failed and to do; bytes on the disk",
    .opts = status_opts,
    .conf_size = sizeof(struct status_conf),
    .run = status};
static const struct t3d_command version_command = {
    .name = "version",
    .summary = "show the version, with compiler, libraries and sandbox",
    .conf_size = sizeof(struct conf),
    .run = version};

static const struct t3d_tool door = {
    .name = "",
    .summary = "from collections of 3D objects to training data, models, and measures",
    .about = "t3d TOOL runs the program t3d-TOOL that lies in the folder of t3d itself.\n"
             "Options of every command may stand before TOOL as well.",
    .commands = (const struct t3d_command *const[]){&help_command, &status_command,
                                                    &version_command, &front, NULL},
    .answer = answer};

int main(int argc, char **argv)
{
    int at = t3d_first_operand(argc, argv);
    char *word = at ? argv[at] : NULL;

    if (!word || is_own(word))
        return t3d_tool_main(&door, argc, argv);
    for (int i = at; i > 0; i--) /* the name goes first, where the path will stand */
        argv[i] = argv[i - 1];
    run_tool(word, argv + 1);
    return t3d_tool_main(&door, 2, (char *[]){argv[0], word, NULL}); /* says that there is none */
}
