/* SPDX-License-Identifier: Apache-2.0 */
/* t3d-splits: which of the rendered objects train, validate and test. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/log.h"
#include "base/tool.h"
#include "store/manifest.h"
#include "store/reject.h"
#include "store/split.h"
#include "store/split_rows.h"

enum { MAX_WARNINGS = 10 }; /* the rest is in the manifest and in --rejects */

enum { FORMAT_VERSION = 1 };

struct conf {
    struct t3d_common common;
    double share[T3D_SPLITS];
    const char *output;
};

static const struct t3d_opt opts[] = {
    {0, "train", T3D_OPT_DOUBLE, offsetof(struct conf, share[T3D_SPLIT_TRAIN]), "SHARE", "0.8",
     NULL, "share of the objects to train on"},
    {0, "val", T3D_OPT_DOUBLE, offsetof(struct conf, share[T3D_SPLIT_VAL]), "SHARE", "0.1", NULL,
     "share to validate on"},
    {0, "test", T3D_OPT_DOUBLE, offsetof(struct conf, share[T3D_SPLIT_TEST]), "SHARE", "0.1", NULL,
     "share to test on; the three sum to 1"},
    {'o', "output", T3D_OPT_STRING, offsetof(struct conf, output), "FILE", NULL, NULL,
     "the lists as JSON; else splits.json in the workspace"},
    {0}};

/* One member of the set, in the order of t3d_splits. */
struct row {
    int64_t num;
    int8_t stored; /* enum t3d_split in the manifest now */
    int8_t given;
    int8_t keyed; /* the manifest has the state row of this seed and shares */
};

struct run {
    const struct conf *conf;
    struct t3d_manifest *m;
    struct t3d_splits *splits;
    struct row *row;
    size_t capacity;
    uint32_t *slot; /* num -> index + 1, for records of stdin */
    size_t n_slots;
    char key[65];
    const char *needs[T3D_SPLIT_NEEDS + 1];
    size_t n_needs;
    FILE *rejects;
    uint64_t refused, failed;
    struct t3d_arena arena; /* of one object */
};

/* --- the set
 * ---------------------------------------------------------------------------------------- */

/* fetch, filter and filter --views bind where they have run: an object may have been rendered
 * before. */
static void choose_needs(struct run *x)
{
    static const char *const optional[] = {"fetch", "filter", "filter-views"};

    x->needs[x->n_needs++] = "render";
    for (size_t i = 0; i < T3D_COUNT(optional); i++)
        if (t3d_manifest_stage_has_run(x->m, optional[i]))
            x->needs[x->n_needs++] = optional[i];
}

/* T3D_OK, or T3D_SKIP with the stage that is not ok. */
static int check_needs(struct run *x, const struct t3d_object *o, struct t3d_err *err)
{
    for (size_t i = 0; i < x->n_needs; i++) {
        struct t3d_state s;
        int r = t3d_manifest_find_state(x->m, x->needs[i], o->num, &s, err);
        if (r < 0)
            return r;
        if (r == T3D_END || s.code != T3D_STATE_OK)
            return t3d_err_set(err, T3D_SKIP, i == 0 ? "not-rendered" : "upstream-not-ok",
                               "%s: stage %s is %s: only rendered objects are split", o->uid,
                               x->needs[i], t3d_state_name(r == T3D_END ? T3D_STATE_NONE : s.code));
    }
    return T3D_OK;
}

static int grow_rows(struct run *x, size_t n, struct t3d_err *err)
{
    size_t capacity = x->capacity ? x->capacity + x->capacity / 2 : 1024;
    struct row *row;

    if (n < x->capacity)
        return T3D_OK;
    row = realloc(x->row, capacity * sizeof *row);
    if (!row)
        return t3d_err_nomem(err, "the objects");
    x->row = row;
    x->capacity = capacity;
    return T3D_OK;
}

static int add_row(void *ctx, const struct t3d_split_row *row, struct t3d_err *err)
{
    struct run *x = ctx;
    struct t3d_split_member m = {.uid = row->uid,
                                 .group = row->group,
                                 .geometry = row->geometry,
                                 .given = row->given ? row->stored : T3D_SPLIT_NONE,
                                 .before = T3D_SPLIT_NONE};
    size_t index;
    int r = grow_rows(x, t3d_splits_count(x->splits), err);

    if (!row->given && row->keyed && !x->conf->common.redo)
        m.before = row->stored;
    if (r == T3D_OK)
        r = t3d_splits_add(x->splits, &m, &index, err);
    if (r == T3D_OK)
        x->row[index] = (struct row){row->num, (int8_t)row->stored, (int8_t)(row->given != 0),
                                     (int8_t)(row->keyed != 0)};
    if (r == T3D_OK && t3d_stop_requested())
        r = T3D_END;
    return r;
}

/* --- records of stdin
 * ----------------------------------------------------------------------------------- */

static uint32_t *find_slot(uint32_t *slot, size_t n, const struct row *row, int64_t num)
{
    size_t i = ((uint64_t)num * 0x9e3779b97f4a7c15u >> 20) & (n - 1);

    while (slot[i] && row[slot[i] - 1].num != num)
        i = (i + 1) & (n - 1);
    return &slot[i];
}

/* Room for one more than there are members, and each of them in its place. */
static int index_rows(struct run *x, struct t3d_err *err)
{
    size_t count = t3d_splits_count(x->splits), n = x->n_slots ? x->n_slots : 1024;
    uint32_t *slot;

    while (n < 2 * (count + 1))
        n *= 2;
    if (n == x->n_slots)
        return T3D_OK;
    slot = calloc(n, sizeof *slot);
    if (!slot)
        return t3d_err_nomem(err, "the index of the objects");
    for (size_t i = 0; i < count; i++)
        *find_slot(slot, n, x->row, x->row[i].num) = (uint32_t)i + 1;
    free(x->slot);
    x->slot = slot;
    x->n_slots = n;
    return T3D_OK;
}

static int refuse(struct run *x, const char *uid, const char *status, const struct t3d_err *why,
                  struct t3d_err *err)
{
    if (x->failed + x->refused < MAX_WARNINGS)
        t3d_warn("%s", why->msg);
    else if (x->failed + x->refused == MAX_WARNINGS)
        t3d_warn("--rejects shows the other objects that are left out");
    if (strcmp(status, "fail") == 0)
        x->failed++;
    else
        x->refused++;
    return t3d_reject_write(x->rejects, uid, "splits", status, why, NULL, err);
}

/* The member that the record names, added if it is new. T3D_SKIP "unknown-uid", "not-rendered", ...
 */
static int find_member(struct run *x, const char *uid, size_t *index, struct t3d_err *err)
{
    struct t3d_object o;
    uint32_t *slot;
    int r = uid ? t3d_manifest_find(x->m, uid, &o, &x->arena, err) : T3D_END;

    if (r == T3D_END)
        return t3d_err_set(err, T3D_SKIP, uid ? "unknown-uid" : "no-uid",
                           uid ? "no object of the manifest has the uid '%s'"
                               : "a record has no uid%s",
                           uid ? uid : "");
    if (r == T3D_OK)
        r = index_rows(x, err);
    if (r < 0)
        return r;
    slot = find_slot(x->slot, x->n_slots, x->row, o.num);
    if (*slot) {
        *index = *slot - 1;
        return T3D_OK;
    }
    r = check_needs(x, &o, err);
    if (r == T3D_OK)
        r = t3d_split_rows(x->m, x->needs, x->key, o.num, add_row, x, err);
    if (r == T3D_OK) {
        *index = t3d_splits_count(x->splits) - 1;
        *slot = (uint32_t)*index + 1;
    }
    return r;
}

static int pass_record(struct run *x, cJSON *record, struct t3d_err *err)
{
    const char *uid = t3d_json_str(record, "uid", NULL);
    struct t3d_err why = {0};
    size_t index;
    int r = find_member(x, uid, &index, &why);

    if (r == T3D_SKIP) {
        int failed = strcmp(why.reason, "unknown-uid") == 0 || strcmp(why.reason, "no-uid") == 0;
        return refuse(x, uid ? uid : "", failed ? "fail" : "reject", &why, err);
    }
    if (r < 0) {
        *err = why;
        return r;
    }
    if (t3d_json_set_str(record, "split", t3d_split_name(t3d_splits_of(x->splits, index))) < 0)
        return t3d_err_nomem(err, uid);
    return t3d_emit(record, err);
}

static int read_stdin(struct run *x, struct t3d_err *err)
{
    struct t3d_ndjson in;
    struct t3d_err why;
    cJSON *record;
    int r = T3D_OK;

    t3d_ndjson_init(&in, stdin, "standard input");
    while (r == T3D_OK && (r = t3d_ndjson_next(&in, &record, &why)) != T3D_END) {
        if (r == T3D_SKIP) {
            r = refuse(x, "", "fail", &why, err);
            continue;
        }
        if (r < 0) {
            *err = why;
            break;
        }
        r = pass_record(x, record, err);
        cJSON_Delete(record);
        t3d_arena_reset(&x->arena);
    }
    t3d_ndjson_fini(&in);
    return r;
}

/* --- what is written
 * ------------------------------------------------------------------------------------ */

static int put_row(struct run *x, size_t i, struct t3d_err *err)
{
    enum t3d_split split = t3d_splits_of(x->splits, i);
    struct t3d_state s = {.code = T3D_STATE_OK, .value = NAN};
    int r = T3D_OK;

    if (!x->row[i].given && x->row[i].stored != (int)split)
        r = t3d_manifest_put_split(x->m, x->row[i].num, t3d_split_name(split), err);
    memcpy(s.key, x->key, sizeof s.key);
    if (r == T3D_OK && (!x->row[i].keyed || x->row[i].stored != (int)split))
        r = t3d_manifest_put_state(x->m, "splits", x->row[i].num, &s, err);
    return r;
}

/* All of it or nothing: half of an old and half of a new split would leak. */
static int write_manifest(struct run *x, struct t3d_err *err)
{
    size_t n = t3d_splits_count(x->splits);
    int r = t3d_manifest_begin(x->m, err);

    if (r < 0)
        return r;
    for (size_t i = 0; i < n && r == T3D_OK; i++)
        r = put_row(x, i, err);
    if (r == T3D_OK)
        return t3d_manifest_commit(x->m, err);
    t3d_manifest_rollback(x->m);
    return r;
}

static int write_json(struct run *x, const struct t3d_split_report *n, struct t3d_err *err)
{
    const struct conf *c = x->conf;
    char *path = c->output ? t3d_strdup(&x->arena, c->output)
                           : t3d_path_join(&x->arena, c->common.workspace, "splits.json");

    return path ? t3d_splits_write(x->splits, path, c->common.seed, c->share, n, err)
                : t3d_err_nomem(err, "splits.json");
}

static void report(struct run *x, const struct t3d_split_report *n)
{
    const struct t3d_splits *s = x->splits;
    size_t total = t3d_splits_count(s);

    if (!total) {
        t3d_warn("no object is rendered yet: run t3d render first");
        return;
    }
    t3d_info(
        "%zu objects: train %llu, val %llu, test %llu; %llu given by their source, %llu sets of "
        "related objects kept together",
        total, (unsigned long long)n->count[T3D_SPLIT_TRAIN],
        (unsigned long long)n->count[T3D_SPLIT_VAL], (unsigned long long)n->count[T3D_SPLIT_TEST],
        (unsigned long long)n->given, (unsigned long long)n->components);
    if (n->moved)
        t3d_warn("%llu objects change their split, because a new one relates them to an older one "
                 "or to one "
                 "with a given split; the first: %s, was %s, is %s",
                 (unsigned long long)n->moved, t3d_splits_uid(s, n->moved_first),
                 t3d_split_name(t3d_splits_before(s, n->moved_first)),
                 t3d_split_name(t3d_splits_of(x->splits, n->moved_first)));
    if (n->conflicts)
        t3d_info("%llu objects share geometry or group with one of another given split; given "
                 "splits are kept; the first: %s, given %s, and %s",
                 (unsigned long long)n->conflicts, t3d_splits_uid(s, n->conflict_first),
                 t3d_split_name(t3d_splits_of(x->splits, n->conflict_first)),
                 t3d_splits_uid(s, t3d_splits_oldest(x->splits, n->conflict_first)));
}

/* --- the run
 * ------------------------------------------------------------------------------------------------
 */

static int make_key(struct run *x, struct t3d_err *err)
{
    char text[160], share[T3D_SPLITS][32];
    int n;

    for (int i = 0; i < T3D_SPLITS; i++)
        t3d_json_number(x->conf->share[i], share[i]);
    n = snprintf(text, sizeof text, "splits %d %llu %s %s %s", FORMAT_VERSION,
                 (unsigned long long)x->conf->common.seed, share[0], share[1], share[2]);
    t3d_sha256_hex(text, (size_t)n, x->key);
    return t3d_splits_new(&x->splits, x->conf->common.seed, x->conf->share, err);
}

static int open_all(struct run *x, struct t3d_err *err)
{
    const struct t3d_common *c = &x->conf->common;
    int r = make_key(x, err);

    if (r == T3D_OK && c->shard_count > 1)
        r = t3d_err_set(
            err, T3D_USAGE, "usage",
            "splits looks at the whole set: merge the parts with t3d manifest merge and run it "
            "without --shard");
    if (r == T3D_OK)
        r = t3d_manifest_open(&x->m, c->workspace, c->dry_run ? T3D_MANIFEST_READONLY : 0, err);
    if (r == T3D_OK && c->rejects && !(x->rejects = fopen(c->rejects, "we")))
        r = t3d_err_sys(err, "cannot create", c->rejects);
    if (r == T3D_OK)
        choose_needs(x);
    return r;
}

static int run(void *conf, struct t3d_err *err)
{
    struct run x = {.conf = conf};
    struct t3d_split_report n;
    int r = open_all(&x, err), closed = 0;

    if (r == T3D_OK)
        r = t3d_split_rows(x.m, x.needs, x.key, -1, add_row, &x, err);
    if (r == T3D_OK && x.conf->common.use_stdin) {
        r = read_stdin(&x, err);
        closed = r == T3D_END && t3d_stdout_closed();
        r = r == T3D_END ? T3D_OK : r;
    }
    if (r == T3D_OK && !t3d_stop_requested()) {
        t3d_splits_report(x.splits, &n);
        if (!x.conf->common.dry_run)
            r = write_json(&x, &n, err);
        if (r == T3D_OK && !x.conf->common.dry_run)
            r = write_manifest(&x, err);
        if (r == T3D_OK)
            report(&x, &n);
    }
    if (x.rejects && fclose(x.rejects) != 0 && r == T3D_OK)
        r = t3d_err_sys(err, "cannot write", x.conf->common.rejects);
    t3d_splits_free(x.splits);
    t3d_manifest_close(x.m);
    t3d_arena_free(&x.arena);
    free(x.row);
    free(x.slot);
    if (r < 0)
        return r;
    return closed                 ? T3D_EXIT_OK
           : t3d_stop_requested() ? t3d_stop_requested()
           : x.failed             ? T3D_EXIT_PARTIAL
                                  : T3D_EXIT_OK;
}

static const struct t3d_command command = {
    .operands = "[-]",
    .summary = "divide the rendered objects into train, val and test",
    .opts = opts,
    .conf_size = sizeof(struct conf),
    .run = run};

static const struct t3d_command *const commands[] = {&command, NULL};

static const struct t3d_tool tool = {
    .name = "splits",
    .summary = "divide the rendered objects into train, val and test",
    .about = "The split of an object follows from the seed and its group, else the hash of its "
             "shape, else its uid, "
             "so it is the same in every set that holds it. Objects of one group and objects of "
             "the same shape "
             "are never in different splits. A split that the source gives is kept.\n\n"
             "When the set grows, what was there keeps its split. If a new object relates two "
             "older ones that are "
             "in different splits, the split of the oldest holds for all of them, and this is "
             "reported. Another seed "
             "or other shares divide anew, and so does --redo.\n\n"
             "The splits are in the manifest and, as sorted lists of uids, in splits.json. With - "
             "each record of "
             "standard input is passed on with a member split.",
    .commands = commands};

int main(int argc, char **argv)
{
    return t3d_tool_main(&tool, argc, argv);
}
