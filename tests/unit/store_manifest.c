/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <sqlite3.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/hash.h"
#include "base/json.h"
#include "store/manifest.h"

static char dir[64];
static struct t3d_err err;

static int set_up(void **state)
{
    (void)state;
    memset(&err, 0, sizeof err);
    snprintf(dir, sizeof dir, "/tmp/t3d-manifest.XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

static int tear_down(void **state)
{
    char command[128];

    (void)state;
    snprintf(command, sizeof command, "rm -rf '%s'", dir);
    return system(command);
}

static struct t3d_manifest *open_new(void)
{
    struct t3d_manifest *m;

    assert_int_equal(t3d_manifest_open(&m, dir, T3D_MANIFEST_CREATE, &err), T3D_OK);
    return m;
}

static struct t3d_object make(const char *uid, const char *content_of, const char *path)
{
    struct t3d_object o = {.ending = "glb", .bytes = 7, .source = "local", .path = path};

    snprintf(o.uid, sizeof o.uid, "%s", uid);
    if (content_of) {
        t3d_sha256_hex(content_of, strlen(content_of), o.content);
        memcpy(o.file_sha256, o.content, sizeof o.content);
    }
    return o;
}

static int add(struct t3d_manifest *m, struct t3d_object *o, int given)
{
    int r;

    assert_int_equal(t3d_manifest_begin(m, &err), T3D_OK);
    r = t3d_manifest_register(m, o, given, &err);
    assert_int_equal(t3d_manifest_commit(m, &err), T3D_OK);
    return r;
}

static void uids_are_checked(void **state)
{
    char longest[130];

    (void)state;
    memset(longest, 'a', sizeof longest);
    longest[128] = 0;
    assert_true(t3d_uid_valid(longest));
    longest[128] = 'a';
    longest[129] = 0;
    assert_false(t3d_uid_valid(longest));
    assert_true(t3d_uid_valid("Aa0._-"));
    assert_false(t3d_uid_valid(""));
    assert_false(t3d_uid_valid("."));
    assert_false(t3d_uid_valid(".."));
    assert_false(t3d_uid_valid("a/b"));
    assert_false(t3d_uid_valid("\xc3\xa4"));
}

static void registering_numbers_in_order(void **state)
{
    struct t3d_manifest *m = open_new();
    struct t3d_arena a = {0};
    const char *captions[] = {"a red cube", "a cube"};
    struct t3d_object o = make("one", "1", "x/one.glb"), found;

    (void)state;
    o.caption = captions;
    o.n_captions = 2;
    o.license = "CC0-1.0";
    assert_int_equal(add(m, &o, 1), T3D_OK);
    assert_int_equal(o.num, 0);
    o = make("two", "2", "x/two.glb");
    assert_int_equal(add(m, &o, 1), T3D_OK);
    assert_int_equal(o.num, 1);
    /* Again: nothing new, and what is not given stays. */
    o = make("one", "1", "x/one.glb");
    assert_int_equal(add(m, &o, 1), T3D_END);
    assert_int_equal(o.num, 0);
    assert_int_equal(t3d_manifest_find(m, "one", &found, &a, &err), T3D_OK);
    assert_int_equal(found.num, 0);
    assert_string_equal(found.license, "CC0-1.0");
    assert_int_equal(found.n_captions, 2);
    assert_string_equal(found.caption[0], "a red cube");
    assert_string_equal(found.caption[1], "a cube");
    assert_string_equal(found.path, "x/one.glb");
    assert_string_equal(found.source, "local");
    assert_string_equal(found.content, o.content);
    assert_string_equal(found.file_sha256, o.content);
    assert_int_equal(found.bytes, 7);
    assert_null(found.split);
    assert_int_equal(t3d_manifest_find(m, "three", &found, &a, &err), T3D_END);
    t3d_arena_free(&a);
    t3d_manifest_close(m);
}

static void same_content_is_one_object(void **state)
{
    struct t3d_manifest *m = open_new();
    struct t3d_object o = make("one", "1", "a.glb"), again = make("other", "1", "b.glb");

    (void)state;
    assert_int_equal(add(m, &o, 0), T3D_OK);
    assert_int_equal(add(m, &again, 0), T3D_END); /* second path: one object, two sources */
    assert_int_equal(again.num, 0);
    assert_string_equal(again.uid, "one");
    again = make("other", "1", "b.glb");
    assert_int_equal(add(m, &again, 1), T3D_SKIP);
    assert_string_equal(err.reason, "duplicate-of");
    assert_non_null(strstr(err.msg, "one"));
    /* Registered before its transfer, and then found to be a duplicate. */
    again = make("later", NULL, "http://x/c.glb");
    assert_int_equal(add(m, &again, 0), T3D_OK);
    again = make("later", "1", "http://x/c.glb");
    assert_int_equal(add(m, &again, 0), T3D_SKIP);
    assert_string_equal(err.reason, "duplicate-of");
    again = make("later", "3", "http://x/c.glb");
    assert_int_equal(add(m, &again, 0), T3D_END);
    t3d_manifest_close(m);
}

static void bad_objects_are_refused(void **state)
{
    struct t3d_manifest *m = open_new();
    struct t3d_object o = make("a b", "1", "a.glb");

    (void)state;
    assert_int_equal(add(m, &o, 1), T3D_SKIP);
    assert_string_equal(err.reason, "bad-uid");
    o = make("a", "1", "a.glb");
    o.split = "dev";
    assert_int_equal(add(m, &o, 1), T3D_SKIP);
    assert_string_equal(err.reason, "bad-split");
    t3d_manifest_close(m);
}

/* More than one batch of the cursor, with holes in what objects have. */
static void cursor_steps_through_all(void **state)
{
    struct t3d_manifest *m = open_new();
    struct t3d_cursor *c;
    struct t3d_arena a = {0};
    struct t3d_object o;
    char uid[16];

    (void)state;
    assert_int_equal(t3d_manifest_begin(m, &err), T3D_OK);
    for (int i = 0; i < 700; i++) {
        const char *caption = uid;
        snprintf(uid, sizeof uid, "u%d", i);
        o = make(uid, uid, i % 3 ? uid : NULL);
        o.caption = &caption;
        o.n_captions = i % 5 == 0;
        assert_int_equal(t3d_manifest_register(m, &o, 1, &err), T3D_OK);
    }
    assert_int_equal(t3d_manifest_commit(m, &err), T3D_OK);
    assert_int_equal(t3d_cursor_open(&c, m, 3, &err), T3D_OK);
    for (int i = 3; i < 700; i++) {
        snprintf(uid, sizeof uid, "u%d", i);
        t3d_arena_reset(&a);
        assert_int_equal(t3d_cursor_next(c, &o, &a, &err), T3D_OK);
        assert_int_equal(o.num, i);
        assert_string_equal(o.uid, uid);
        assert_int_equal(o.n_captions, i % 5 == 0);
        if (o.n_captions)
            assert_string_equal(o.caption[0], uid);
        if (i % 3)
            assert_string_equal(o.path, uid);
        else
            assert_null(o.path);
    }
    assert_int_equal(t3d_cursor_next(c, &o, &a, &err), T3D_END);
    t3d_cursor_close(c);
    t3d_arena_free(&a);
    t3d_manifest_close(m);
}

static void states_count_attempts_of_a_key(void **state)
{
    struct t3d_manifest *m = open_new();
    struct t3d_object o = make("one", "1", "a.glb");
    struct t3d_state s = {.code = T3D_STATE_FAIL, .value = 2.5, .reason = "too-big"}, found;

    (void)state;
    assert_int_equal(add(m, &o, 1), T3D_OK);
    assert_int_equal(t3d_manifest_find_state(m, "filter", 0, &found, &err), T3D_OK);
    assert_int_equal(found.code, T3D_STATE_NONE);
    assert_false(t3d_manifest_stage_has_run(m, "filter"));
    t3d_sha256_hex("k", 1, s.key);
    for (int i = 1; i <= 3; i++) {
        assert_int_equal(t3d_manifest_put_state(m, "filter", 0, &s, &err), T3D_OK);
        assert_int_equal(t3d_manifest_find_state(m, "filter", 0, &found, &err), T3D_OK);
        assert_int_equal(found.attempt, i);
    }
    assert_int_equal(found.code, T3D_STATE_FAIL);
    assert_string_equal(found.key, s.key);
    assert_string_equal(found.reason, "too-big");
    assert_true(found.value == 2.5);
    assert_true(t3d_manifest_stage_has_run(m, "filter"));
    s = (struct t3d_state){.code = T3D_STATE_OK, .value = NAN};
    t3d_sha256_hex("l", 1, s.key);
    assert_int_equal(t3d_manifest_put_state(m, "filter", 0, &s, &err), T3D_OK);
    assert_int_equal(t3d_manifest_find_state(m, "filter", 0, &found, &err), T3D_OK);
    assert_int_equal(found.attempt, 1);
    assert_true(isnan(found.value));
    assert_string_equal(found.reason, "");
    t3d_manifest_close(m);
}

static void measures_come_back(void **state)
{
    struct t3d_manifest *m = open_new();
    struct t3d_object o = make("one", "1", "a.glb");
    cJSON *json = cJSON_Parse("{\"triangles\":12,\"area\":0.1}"), *found;
    char *text;

    (void)state;
    assert_int_equal(add(m, &o, 1), T3D_OK);
    assert_int_equal(t3d_manifest_find_measures(m, 0, "filter", &found, &err), T3D_OK);
    assert_null(found);
    assert_int_equal(t3d_manifest_put_measures(m, 0, "filter", json, &err), T3D_OK);
    assert_int_equal(t3d_manifest_find_measures(m, 0, "filter", &found, &err), T3D_OK);
    text = t3d_json_text(found, 0);
    assert_string_equal(text, "{\"triangles\":12,\"area\":0.1}");
    free(text);
    cJSON_Delete(json);
    cJSON_Delete(found);
    t3d_manifest_close(m);
}

static void sql(const char *text)
{
    char path[96];
    sqlite3 *db;

    snprintf(path, sizeof path, "%s/manifest.db", dir);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, text, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

static void other_databases_are_refused(void **state)
{
    struct t3d_manifest *m;
    char path[96];
    FILE *f;

    (void)state;
    assert_int_equal(t3d_manifest_open(&m, dir, 0, &err), T3D_USAGE);
    assert_string_equal(err.reason, "no-manifest");
    t3d_manifest_close(open_new());
    sql("PRAGMA user_version = 99");
    assert_int_equal(t3d_manifest_open(&m, dir, 0, &err), T3D_USAGE);
    assert_string_equal(err.reason, "newer-manifest");
    sql("PRAGMA user_version = 1; PRAGMA application_id = 7");
    assert_int_equal(t3d_manifest_open(&m, dir, T3D_MANIFEST_CREATE, &err), T3D_USAGE);
    assert_string_equal(err.reason, "not-a-manifest");
    snprintf(path, sizeof path, "%s/manifest.db", dir);
    f = fopen(path, "w");
    for (int i = 0; i < 1000; i++)
        fprintf(f, "this is a letter\n");
    fclose(f);
    assert_int_equal(t3d_manifest_open(&m, dir, 0, &err), T3D_USAGE);
    assert_string_equal(err.reason, "not-a-manifest");
}

/* --- claims
 * ---------------------------------------------------------------------------------------- */

static int claim_one(struct t3d_manifest *m, int64_t num)
{
    struct t3d_state seen;
    struct t3d_claim c = {.num = num, .seen = &seen};

    assert_int_equal(t3d_manifest_find_state(m, "render", num, &seen, &err), T3D_OK);
    assert_int_equal(t3d_manifest_claim(m, "render", &c, 1, &err), T3D_OK);
    return c.got;
}

static enum t3d_state_code state_of(struct t3d_manifest *m, int64_t num)
{
    struct t3d_state s;

    assert_int_equal(t3d_manifest_find_state(m, "render", num, &s, &err), T3D_OK);
    return s.code;
}

static void claims_go_back_to_what_was(void **state)
{
    struct t3d_manifest *m = open_new(), *other;
    struct t3d_object o = make("one", "1", "a.glb"), p = make("two", "2", "b.glb");
    struct t3d_state s = {.code = T3D_STATE_OK, .value = NAN}, seen;
    struct t3d_claim late = {.num = 0, .seen = &seen};

    (void)state;
    assert_int_equal(add(m, &o, 1), T3D_OK);
    assert_int_equal(add(m, &p, 1), T3D_OK);
    t3d_sha256_hex("k", 1, s.key);
    assert_int_equal(t3d_manifest_put_state(m, "render", 0, &s, &err), T3D_OK);
    other = open_new();
    assert_int_equal(t3d_run_begin(m, "render", &err), T3D_OK);
    assert_int_equal(t3d_run_begin(other, "render", &err), T3D_OK);
    assert_int_equal(t3d_manifest_find_state(other, "render", 0, &seen, &err), T3D_OK);
    assert_true(claim_one(m, 0));
    assert_true(claim_one(m, 1));
    assert_int_equal(state_of(other, 0), T3D_STATE_CLAIMED);
    assert_false(claim_one(other, 0));
    assert_int_equal(t3d_run_end(m, &err), T3D_OK);
    assert_int_equal(state_of(other, 0), T3D_STATE_OK);
    assert_int_equal(state_of(other, 1), T3D_STATE_NONE);
    /* Done by the other run since it was seen: not to be done again. */
    assert_int_equal(t3d_run_begin(m, "render", &err), T3D_OK);
    assert_true(claim_one(m, 0));
    assert_int_equal(t3d_manifest_put_state(m, "render", 0, &s, &err), T3D_OK);
    assert_int_equal(t3d_manifest_claim(other, "render", &late, 1, &err), T3D_OK);
    assert_false(late.got);
    t3d_manifest_close(other);
    t3d_manifest_close(m);
}

static void dead_owners_lose_their_claims(void **state)
{
    struct t3d_manifest *m = open_new();
    struct t3d_object o = make("one", "1", "a.glb");
    int freed, status;
    pid_t child;

    (void)state;
    assert_int_equal(add(m, &o, 1), T3D_OK);
    t3d_manifest_close(m);
    child = fork();
    if (child == 0) {
        m = open_new();
        _exit(t3d_run_begin(m, "render", &err) == T3D_OK && claim_one(m, 0) ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    m = open_new();
    assert_int_equal(state_of(m, 0), T3D_STATE_CLAIMED);
    assert_int_equal(t3d_run_reap(m, &freed, &err), T3D_OK);
    assert_int_equal(freed, 1);
    assert_int_equal(state_of(m, 0), T3D_STATE_NONE);
    /* A pid that lives, but was started at another time, is another process. */
    assert_int_equal(t3d_run_begin(m, "render", &err), T3D_OK);
    assert_true(claim_one(m, 0));
    t3d_manifest_close(m);
    sql("UPDATE run SET ended = 0, start = start + 1; UPDATE stage_state SET owner = (SELECT "
        "max(id) "
        "FROM run) WHERE num = 0; INSERT OR IGNORE INTO stage_state(stage, num, state, attempt, "
        "owner) "
        "SELECT 1, 0, 0, 0, max(id) FROM run");
    m = open_new();
    assert_int_equal(state_of(m, 0), T3D_STATE_CLAIMED);
    assert_int_equal(t3d_run_begin(m, "render", &err), T3D_OK);
    assert_true(claim_one(m, 0));
    t3d_manifest_close(m);
}

static void other_hosts_keep_theirs_for_the_lease(void **state)
{
    struct t3d_manifest *m = open_new();
    struct t3d_object o = make("one", "1", "a.glb");
    int freed;

    (void)state;
    assert_int_equal(add(m, &o, 1), T3D_OK);
    assert_int_equal(t3d_run_begin(m, "render", &err), T3D_OK);
    assert_true(claim_one(m, 0));
    t3d_manifest_close(m);
    sql("UPDATE run SET ended = 0, host = 'elsewhere', boot = 'x', pid = 1; INSERT INTO "
        "stage_state(stage, num, state, attempt, owner) SELECT 1, 0, 0, 0, max(id) FROM run");
    m = open_new();
    assert_int_equal(t3d_run_reap(m, &freed, &err), T3D_OK);
    assert_int_equal(freed, 0);
    assert_int_equal(state_of(m, 0), T3D_STATE_CLAIMED);
    sql("UPDATE run SET lease = 1");
    assert_int_equal(t3d_run_reap(m, &freed, &err), T3D_OK);
    assert_int_equal(freed, 1);
    t3d_manifest_close(m);
}

enum { PROCESSES = 64, EACH = 4 };

/* Every process tries to claim everything; each object must be had by exactly one. */
static int claim_all(int out)
{
    struct t3d_manifest *m;
    struct t3d_state seen[PROCESSES * EACH];
    struct t3d_claim c[PROCESSES * EACH];

    if (t3d_manifest_open(&m, dir, T3D_MANIFEST_CREATE, &err) != T3D_OK ||
        t3d_run_begin(m, "render", &err) != T3D_OK) {
        fprintf(stderr, "# %s\n", err.msg);
        return 1;
    }
    for (int i = 0; i < PROCESSES * EACH; i++)
        c[i] = (struct t3d_claim){.num = i, .seen = &seen[i]};
    memset(seen, 0, sizeof seen);
    for (int i = 0; i < PROCESSES * EACH; i += EACH) {
        if (t3d_manifest_claim(m, "render", c + i, EACH, &err) != T3D_OK)
            return 2;
        for (int k = i; k < i + EACH; k++)
            if (c[k].got && write(out, &k, sizeof k) != sizeof k)
                return 3;
        for (int k = i; k < i + EACH; k++) {
            struct t3d_state s = {.code = T3D_STATE_OK, .value = NAN};
            memset(s.key, 'a', 64);
            if (c[k].got && t3d_manifest_put_state(m, "render", k, &s, &err) != T3D_OK)
                return 4;
        }
    }
    t3d_manifest_close(m);
    return 0;
}

static void many_processes_claim_each_object_once(void **state)
{
    int count[PROCESSES * EACH] = {0}, fds[2], k, status;

    (void)state;
    assert_int_equal(pipe(fds), 0);
    for (int i = 0; i < PROCESSES; i++)
        if (fork() == 0)
            _exit(claim_all(fds[1]));
    close(fds[1]);
    while (read(fds[0], &k, sizeof k) == sizeof k)
        count[k]++;
    close(fds[0]);
    for (int i = 0; i < PROCESSES; i++) {
        assert_true(wait(&status) > 0);
        assert_int_equal(status, 0);
    }
    for (int i = 0; i < PROCESSES * EACH; i++)
        assert_int_equal(count[i], 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(uids_are_checked),
        cmocka_unit_test_setup_teardown(registering_numbers_in_order, set_up, tear_down),
        cmocka_unit_test_setup_teardown(same_content_is_one_object, set_up, tear_down),
        cmocka_unit_test_setup_teardown(bad_objects_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(cursor_steps_through_all, set_up, tear_down),
        cmocka_unit_test_setup_teardown(states_count_attempts_of_a_key, set_up, tear_down),
        cmocka_unit_test_setup_teardown(measures_come_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(other_databases_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(claims_go_back_to_what_was, set_up, tear_down),
        cmocka_unit_test_setup_teardown(dead_owners_lose_their_claims, set_up, tear_down),
        cmocka_unit_test_setup_teardown(other_hosts_keep_theirs_for_the_lease, set_up, tear_down),
        cmocka_unit_test_setup_teardown(many_processes_claim_each_object_once, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
