/* SPDX-License-Identifier: Apache-2.0 */
/* t3d manifest: look at, export, import, merge and check the index of a workspace. */
#include "base/arena.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/log.h"
#include "base/tool.h"
#include "store/check.h"
#include "store/manifest.h"
#include "store/merge.h"
#include "store/record_import.h"
#include "store/reject.h"

struct conf {
    struct t3d_common common;
    const char *stage, *state, *split, *dataset; /* list */
};

#define AT(member) offsetof(struct conf, member)

/* --- list, export
 * ---------------------------------------------------------------------------------- */

static int wanted(struct t3d_manifest *m, const struct conf *c, const struct t3d_object *o,
                  int *yes, struct t3d_err *err)
{
    int code = c->state ? t3d_state_code(c->state) : -1, r = T3D_OK;
    struct t3d_state s;

    *yes = 0;
    if (c->common.shard_count > 1 &&
        t3d_hash64(o->uid) % c->common.shard_count != c->common.shard_index)
        return T3D_OK;
    if (c->split && strcmp(o->split ? o->split : "none", c->split) != 0)
        return T3D_OK;
    if (c->dataset && strcmp(o->source ? o->source : "", c->dataset) != 0)
        return T3D_OK;
    if (c->stage) {
        r = t3d_manifest_find_state(m, c->stage, o->num, &s, err);
        *yes = r == T3D_OK && (code >= 0 ? (int)s.code == code : s.code != T3D_STATE_NONE);
        return r;
    }
    *yes = 1;
    return T3D_OK;
}

static int print_object(struct t3d_manifest *m, const struct t3d_object *o, struct t3d_err *err)
{
    cJSON *record;
    int r = t3d_manifest_record(m, o, &record, err);

    if (r == T3D_OK) {
        r = t3d_emit(record, err);
        cJSON_Delete(record);
    }
    return r;
}

static int list_all(struct t3d_manifest *m, const struct conf *c, struct t3d_err *err)
{
    struct t3d_arena a = {0};
    struct t3d_cursor *cursor;
    struct t3d_object o;
    int yes, r = t3d_cursor_open(&cursor, m, 0, err);

    while (r == T3D_OK && !t3d_stop_requested()) {
        t3d_arena_reset(&a);
        r = t3d_cursor_next(cursor, &o, &a, err);
        if (r == T3D_OK)
            r = wanted(m, c, &o, &yes, err);
        if (r == T3D_OK && yes)
            r = print_object(m, &o, err);
    }
    t3d_cursor_close(cursor);
    t3d_arena_free(&a);
    return r < 0 ? r : T3D_OK;
}

/* Each of the uids named; those that are unknown are told and make the exit code 3. */
static int for_uids(struct t3d_manifest *m, const struct conf *c,
                    int (*print)(struct t3d_manifest *m, const struct t3d_object *o,
                                 struct t3d_err *err),
                    struct t3d_err *err)
{
    struct t3d_arena a = {0};
    struct t3d_object o;
    int unknown = 0, yes, r = T3D_OK;

    for (size_t i = 0; i < c->common.operands.n && r == T3D_OK; i++) {
        const char *uid = c->common.operands.item[i];
        t3d_arena_reset(&a);
        r = t3d_manifest_find(m, uid, &o, &a, err);
        if (r == T3D_END) {
            t3d_error("no object has the uid '%.140s': `t3d manifest list` shows all", uid);
            unknown = 1;
            r = T3D_OK;
            continue;
        }
        if (r == T3D_OK)
            r = wanted(m, c, &o, &yes, err);
        if (r == T3D_OK && yes)
            r = print(m, &o, err);
    }
    t3d_arena_free(&a);
    return r < 0 ? r : unknown ? T3D_EXIT_PARTIAL : T3D_OK;
}

static int run_list(void *conf, struct t3d_err *err)
{
    const struct conf *c = conf;
    struct t3d_manifest *m;
    int r;

    if (c->state && !c->stage)
        return t3d_err_set(err, T3D_USAGE, "usage",
                           "--state %s needs --stage NAME: each stage has its own state", c->state);
    r = t3d_manifest_open(&m, c->common.workspace, T3D_MANIFEST_READONLY, err);
    if (r < 0)
        return r;
    r = c->common.operands.n ? for_uids(m, c, print_object, err) : list_all(m, c, err);
    t3d_manifest_close(m);
    return r;
}

/* --- show
 * ------------------------------------------------------------------------------------------ */

static void print_value(const char *key, const cJSON *value, int indent)
{
    char *text;

    if (cJSON_IsNull(value))
        return;
    if (cJSON_IsString(value)) {
        printf("%*s%-*s %s\n", indent, "", 18 - indent, key, value->valuestring);
        return;
    }
    text = t3d_json_text(value, 0);
    printf("%*s%-*s %s\n", indent, "", 18 - indent, key, text ? text : "?");
    free(text);
}

static void print_stage(const cJSON *s)
{
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(s, "value");
    const char *message = t3d_json_str(s, "message", "");

    printf("  %-16s %s", s->string, t3d_json_str(s, "state", ""));
    if (*t3d_json_str(s, "reason", ""))
        printf(": %s", t3d_json_str(s, "reason", ""));
    if (cJSON_IsNumber(value))
        printf(" (%.6g)", value->valuedouble);
    printf("\n");
    if (*message)
        printf("  %-16s %s\n", "", message);
}

static int show_object(struct t3d_manifest *m, const struct t3d_object *o, struct t3d_err *err)
{
    const cJSON *item, *inner;
    cJSON *record;
    int r = t3d_manifest_record(m, o, &record, err);

    if (r < 0)
        return r;
    cJSON_ArrayForEach (item, record) {
        if (strcmp(item->string, "stages") == 0) {
            printf("stages\n");
            cJSON_ArrayForEach (inner, item)
                print_stage(inner);
        } else if (cJSON_IsObject(item)) {
            printf("%s\n", item->string);
            cJSON_ArrayForEach (inner, item)
                print_value(inner->string, inner, 2);
        } else {
            print_value(item->string, item, 0);
        }
    }
    printf("\n");
    cJSON_Delete(record);
    return T3D_OK;
}

static int run_show(void *conf, struct t3d_err *err)
{
    const struct conf *c = conf;
    struct t3d_manifest *m;
    int r;

    if (!c->common.operands.n)
        return t3d_err_set(err, T3D_USAGE, "usage", "show needs at least one UID");
    r = t3d_manifest_open(&m, c->common.workspace, T3D_MANIFEST_READONLY, err);
    if (r < 0)
        return r;
    r = for_uids(m, c, show_object, err);
    t3d_manifest_close(m);
    return r;
}

/* --- import
 * ---------------------------------------------------------------------------------------- */

/* Told, and a line for --rejects. */
static int refuse(void *rejects, const cJSON *record, const struct t3d_err *why,
                  struct t3d_err *err)
{
    t3d_warn("%s", why->msg);
    return t3d_reject_write(rejects, record ? t3d_json_str(record, "uid", "") : "", "import",
                            "fail", why, NULL, err);
}

static int import_files(struct t3d_record_import *in, const struct t3d_common *c,
                        struct t3d_err *err)
{
    int r = c->use_stdin ? t3d_record_import_stream(in, stdin, "standard input", err) : T3D_OK;

    for (size_t i = 0; i < c->operands.n && r == T3D_OK; i++) {
        FILE *f = fopen(c->operands.item[i], "re");
        if (!f) {
            r = t3d_err_sys(err, "cannot open", c->operands.item[i]);
            break;
        }
        r = t3d_record_import_stream(in, f, c->operands.item[i], err);
        fclose(f);
    }
    return t3d_record_import_end(in, r, err);
}

static int run_import(void *conf, struct t3d_err *err)
{
    const struct t3d_common *c = conf;
    struct t3d_record_import in = {.dry_run = c->dry_run, .refuse = refuse};
    FILE *rejects = NULL;
    int r;

    if (!c->use_stdin && !c->operands.n)
        return t3d_err_set(err, T3D_USAGE, "usage", "import needs a FILE, or - for standard input");
    r = t3d_manifest_open(&in.m, c->workspace, c->dry_run ? 0 : T3D_MANIFEST_CREATE, err);
    if (r == T3D_OK && c->rejects && !(rejects = fopen(c->rejects, "we")))
        r = t3d_err_sys(err, "cannot create", c->rejects);
    in.ctx = rejects;
    if (r == T3D_OK)
        r = import_files(&in, c, err);
    if (rejects && fclose(rejects) != 0 && r == T3D_OK)
        r = t3d_err_sys(err, "cannot write", c->rejects);
    t3d_manifest_close(in.m);
    if (r < 0)
        return r;
    t3d_info("%llu new objects, %llu known, %llu refused%s", (unsigned long long)in.fresh,
             (unsigned long long)in.known, (unsigned long long)in.bad,
             c->dry_run ? "; nothing was written" : "");
    return in.bad ? T3D_EXIT_PARTIAL : T3D_OK;
}

/* --- merge, check
 * ---------------------------------------------------------------------------------- */

static void tell_skipped(void *ctx, const struct t3d_err *why)
{
    (void)ctx;
    t3d_warn("left out: %s", why->msg);
}

static int run_merge(void *conf, struct t3d_err *err)
{
    const struct t3d_common *c = conf;
    struct t3d_merge_count n = {0};
    struct t3d_manifest *m;
    int r;

    if (!c->operands.n)
        return t3d_err_set(err, T3D_USAGE, "usage",
                           "merge needs the PATH of a workspace, a manifest.db or a .done file");
    if (c->dry_run)
        return t3d_err_set(
            err, T3D_USAGE, "usage",
            "merge has no --dry-run: merging the same twice changes nothing; `t3d manifest "
            "export` in the other workspace and `import --dry-run` here count its objects");
    r = t3d_manifest_open(&m, c->workspace, T3D_MANIFEST_CREATE, err);
    for (size_t i = 0; i < c->operands.n && r == T3D_OK; i++)
        r = t3d_merge(m, c->operands.item[i], &n, tell_skipped, NULL, err);
    t3d_manifest_close(m);
    if (r < 0)
        return r;
    t3d_info(
        "%llu records (%llu new objects), %llu files and %llu samples taken over, %llu samples of "
        "unknown objects, %llu left out",
        (unsigned long long)n.records, (unsigned long long)n.objects, (unsigned long long)n.files,
        (unsigned long long)n.samples, (unsigned long long)n.unknown,
        (unsigned long long)n.skipped);
    return n.skipped || n.unknown ? T3D_EXIT_PARTIAL : T3D_OK;
}

static int tell_problem(void *ctx, cJSON *problem, struct t3d_err *err)
{
    int r = t3d_emit(problem, err);

    (void)ctx;
    cJSON_Delete(problem);
    return r;
}

static int run_check(void *conf, struct t3d_err *err)
{
    const struct t3d_common *c = conf;
    struct t3d_check check = {.threads = (int)c->threads, .tell = tell_problem};
    struct t3d_manifest *m;
    int r = t3d_manifest_open(&m, c->workspace, 0, err);

    if (r < 0)
        return r;
    r = t3d_check_run(m, &check, err);
    t3d_manifest_close(m);
    if (r < 0)
        return r;
    t3d_info("%llu objects and %llu shards looked at, %llu problems",
             (unsigned long long)check.objects, (unsigned long long)check.shards,
             (unsigned long long)check.problems);
    return check.problems ? T3D_EXIT_FAILED : T3D_OK;
}

/* --- commands
 * -------------------------------------------------------------------------------------- */

static const struct t3d_opt list_opts[] = {
    {0, "stage", T3D_OPT_STRING, AT(stage), "NAME", NULL, NULL,
     "only objects with a state of this stage"},
    {0, "state", T3D_OPT_STRING, AT(state), "STATE", NULL,
     "none ok reject fail missing modified claimed", "only objects in this state of --stage"},
    {0, "split", T3D_OPT_STRING, AT(split), "NAME", NULL, "train val test none", "only this split"},
    {0, "dataset", T3D_OPT_STRING, AT(dataset), "NAME", NULL, NULL,
     "only objects of this data set"},
    {0}};
static const struct t3d_opt no_opts[] = {{0}};

static const struct t3d_command list = {
    "list",    "[UID...]",          "one JSON object a line, for tools that take -",
    list_opts, sizeof(struct conf), run_list};
static const struct t3d_command show = {
    "show",  "UID...", "all that is known of an object, for people", no_opts, sizeof(struct conf),
    run_show};
static const struct t3d_command export = {
    "export", NULL, "all objects, one JSON object a line", no_opts, sizeof(struct conf), run_list};
static const struct t3d_command import = {
    "import", "[-] [FILE...]",     "read what export wrote; the same again changes nothing",
    no_opts,  sizeof(struct conf), run_import};
static const struct t3d_command merge = {
    "merge", "PATH...",           "take over other workspaces, or the parts that --shard made",
    no_opts, sizeof(struct conf), run_merge};
static const struct t3d_command check = {"check",
                                         NULL,
                                         "hash every file, walk every shard; one problem a line",
                                         no_opts,
                                         sizeof(struct conf),
                                         run_check};

static const struct t3d_command *const commands[] = {&list,  &show,  &export, &import,
                                                     &merge, &check, NULL};

static const struct t3d_tool tool = {
    .name = "manifest",
    .summary = "look at, export, import, merge and check the index of a workspace",
    .about =
        "manifest.db is the one index of a workspace: objects in input order, captions, measures, "
        "and "
        "the state of every object in every stage. `list` and `export` write one JSON object a "
        "line "
        "with uid, num, dataset, source, license, caption, content, measures and stages; `import` "
        "reads the same. `check` exits 1 when it has found a problem.",
    .commands = commands,
};

int main(int argc, char **argv)
{
    return t3d_tool_main(&tool, argc, argv);
}
