/* SPDX-License-Identifier: Apache-2.0 */
#include "base/opt.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"

struct conf {
    struct t3d_common common;
    uint64_t count, bytes;
    int64_t level;
    double ratio;
    const char *light;
    struct t3d_list metrics, images;
    int fast, no_limit;
};

#define AT(member) offsetof(struct conf, member)
static const struct t3d_opt opts[] = {
    {'n', "count", T3D_OPT_U64, AT(count), "N", "200", NULL, "objects"},
    {0, "max-bytes", T3D_OPT_SIZE, AT(bytes), "BYTES", "2Mi", NULL, "most bytes"},
    {0, "level", T3D_OPT_INT, AT(level), "N", "-3", NULL, "level"},
    {0, "ratio", T3D_OPT_DOUBLE, AT(ratio), "X", "0.5", NULL, "ratio"},
    {0, "light", T3D_OPT_STRING, AT(light), "NAME", "studio", "studio flat sun", "light"},
    {0, "metrics", T3D_OPT_WORDS, AT(metrics), "LIST", "psnr,ssim", NULL, "metrics"},
    {0, "images", T3D_OPT_FILES, AT(images), "FILE", NULL, NULL, "pictures"},
    {'f', "fast", T3D_OPT_BOOL, AT(fast), NULL, NULL, NULL, "fast"},
    {0, "no-limit", T3D_OPT_BOOL, AT(no_limit), NULL, NULL, NULL, "without limit"},
    {0, "seed", T3D_OPT_U64, AT(common.seed), "N", "42", NULL, "another default"},
    {0}};

static struct t3d_arena arena;
static struct conf conf;
static struct t3d_err err;
static const char *info;

static int parse_with(const char *operands, const char *const *words)
{
    struct t3d_command c = {.operands = operands, .opts = opts, .conf_size = sizeof conf};
    char *argv[32] = {t3d_strdup(&arena, "t3d-test")};
    int argc = 1;

    for (; *words; words++)
        argv[argc++] = t3d_strdup(&arena, *words);
    memset(&conf, 0, sizeof conf);
    memset(&err, 0, sizeof err);
    return t3d_opt_parse(&c, argc, argv, &conf, &arena, &info, &err);
}

#define PARSE(...) parse_with("[-] [PATH...]", (const char *const[]){__VA_ARGS__, NULL})
#define GOOD(...)  assert_int_equal(PARSE(__VA_ARGS__), T3D_OK)
#define BAD(...)                                                                                   \
    do {                                                                                           \
        assert_int_equal(PARSE(__VA_ARGS__), T3D_USAGE);                                           \
        assert_true(*err.msg);                                                                     \
    } while (0)

static int set_up(void **state)
{
    (void)state;
    return unsetenv("T3D_WORKSPACE");
}

static int tear_down(void **state)
{
    (void)state;
    t3d_arena_free(&arena);
    return 0;
}

static void defaults_are_those_of_the_table(void **state)
{
    (void)state;
    assert_int_equal(parse_with(NULL, (const char *const[]){NULL}), T3D_OK);
    assert_null(info);
    assert_int_equal(conf.count, 200);
    assert_int_equal(conf.bytes, 2 << 20);
    assert_int_equal(conf.level, -3);
    assert_true(conf.ratio == 0.5);
    assert_string_equal(conf.light, "studio");
    assert_int_equal(conf.metrics.n, 2);
    assert_string_equal(conf.metrics.item[1], "ssim");
    assert_int_equal(conf.images.n, 0);
    assert_int_equal(conf.common.seed, 42);
    assert_string_equal(conf.common.workspace, ".");
    assert_string_equal(conf.common.progress, "auto");
    assert_int_equal(conf.common.shard_count, 1);
    assert_null(conf.common.rejects);
    assert_string_equal(conf.common.given, "");
}

static void all_ways_to_give_a_value(void **state)
{
    (void)state;
    GOOD("--count", "7");
    assert_int_equal(conf.count, 7);
    GOOD("--count=8");
    assert_int_equal(conf.count, 8);
    GOOD("-n9");
    assert_int_equal(conf.count, 9);
    GOOD("-fn", "10", "-qv");
    assert_int_equal(conf.count, 10);
    assert_true(conf.fast && conf.common.quiet && conf.common.verbose);
    GOOD("--max_bytes=1", "--dry_run");
    assert_int_equal(conf.bytes, 1);
    assert_int_equal(conf.common.dry_run, 1);
    GOOD("--level", "-5", "--ratio", "-1e-3");
    assert_int_equal(conf.level, -5);
    assert_true(conf.ratio == -1e-3);
    GOOD("--fast", "--no-fast", "--no-limit");
    assert_int_equal(conf.fast, 0);
    assert_int_equal(conf.no_limit, 1);
    GOOD("--count=1", "--count=2");
    assert_int_equal(conf.count, 2);
}

static void lists_grow_and_replace_the_default(void **state)
{
    (void)state;
    GOOD("--metrics", "a,b", "x", "--metrics=c", "--images", "p", "q", "-f", "y", "--images=r");
    assert_int_equal(conf.metrics.n, 3);
    assert_string_equal(conf.metrics.item[0], "a");
    assert_string_equal(conf.metrics.item[2], "c");
    assert_int_equal(conf.images.n, 3);
    assert_string_equal(conf.images.item[2], "r");
    assert_int_equal(conf.common.operands.n, 2);
    GOOD("--images", "p", "q", "-");
    assert_int_equal(conf.images.n, 2);
    assert_int_equal(conf.common.use_stdin, 1);
    BAD("--images", "--fast");
    BAD("--metrics", "a,,b");
    BAD("--metrics", "");
}

static void operands_may_stand_anywhere(void **state)
{
    (void)state;
    GOOD("a", "--count", "3", "b", "--", "--fast", "-");
    assert_int_equal(conf.common.operands.n, 3);
    assert_string_equal(conf.common.operands.item[2], "--fast");
    assert_int_equal(conf.common.use_stdin, 1);
    assert_int_equal(conf.fast, 0);
}

static void operands_follow_the_synopsis(void **state)
{
    static const struct {
        const char *synopsis, *words[4];
        int good;
    } row[] = {{NULL, {NULL}, 1},          {NULL, {"a"}, 0},         {"PATH...", {NULL}, 0},
               {"PATH...", {"a", "b"}, 1}, {"PATH...", {"-"}, 0},    {"[-]", {"-"}, 1},
               {"[-]", {"a"}, 0},          {"UID", {"a"}, 1},        {"UID", {"a", "b"}, 0},
               {"A [B]", {"a", "b"}, 1},   {"A [B]", {NULL}, 0},     {"A B", {"a"}, 0},
               {"- PATH...", {"-"}, 1},    {"[FILE...]", {NULL}, 1}, {"[A-B]", {"-"}, 0}};

    (void)state;
    for (size_t i = 0; i < T3D_COUNT(row); i++)
        assert_int_equal(parse_with(row[i].synopsis, row[i].words),
                         row[i].good ? T3D_OK : T3D_USAGE);
}

static void numbers_are_strict(void **state)
{
    static const char *const bad[][2] = {{"--count", "-1"},
                                         {"--count", ""},
                                         {"--count", "1x"},
                                         {"--count", " 1"},
                                         {"--count", "1.0"},
                                         {"--count", "0x10"},
                                         {"--count", "1e3"},
                                         {"--count", "18446744073709551616"},
                                         {"--level", "1 "},
                                         {"--level", " 1"},
                                         {"--level", "+"},
                                         {"--level", "9223372036854775808"},
                                         {"--ratio", "nan"},
                                         {"--ratio", "inf"},
                                         {"--ratio", "1e999"},
                                         {"--ratio", "0x1p3"},
                                         {"--ratio", " 1"},
                                         {"--ratio", "1,5"},
                                         {"--max-bytes", "k"},
                                         {"--max-bytes", "1kk"},
                                         {"--max-bytes", "-1"},
                                         {"--max-bytes", "1m"},
                                         {"--max-bytes", "20000000T"},
                                         {"--threads", "-1"},
                                         {"--threads", "1025"},
                                         {"--light", "Studio"},
                                         {"--progress", "b"}};

    (void)state;
    for (size_t i = 0; i < T3D_COUNT(bad); i++)
        BAD(bad[i][0], bad[i][1]);
    GOOD("--count", "18446744073709551615", "--level", "-9223372036854775808");
    assert_true(conf.count == UINT64_MAX && conf.level == INT64_MIN);
}

static void sizes_have_units(void **state)
{
    static const struct {
        const char *text;
        uint64_t want;
    } row[] = {{"0", 0},           {"500", 500},     {"64k", 64000},
               {"64K", 64000},     {"64Ki", 65536},  {"2M", 2000000},
               {"1G", 1000000000}, {"1Gi", 1 << 30}, {"3T", 3000000000000},
               {"5MB", 5000000},   {"7B", 7}};

    (void)state;
    for (size_t i = 0; i < T3D_COUNT(row); i++) {
        GOOD("--max-bytes", row[i].text);
        assert_true(conf.bytes == row[i].want);
    }
}

static void mistakes_are_named(void **state)
{
    (void)state;
    BAD("--cuont=3");
    assert_string_equal(err.msg, "unknown option --cuont (did you mean --count?)");
    BAD("--nonsense-word");
    assert_string_equal(err.msg, "unknown option --nonsense-word");
    BAD("--coun", "3"); /* no abbreviations */
    BAD("-z");
    BAD("--light", "sudio");
    assert_non_null(strstr(err.msg, "did you mean 'studio'"));
    BAD("--count");
    BAD("--fast=yes");
    BAD("--no-count");
    BAD("--no-fast=1");
    BAD("--workspace", "");
    assert_int_equal(parse_with(NULL, (const char *const[]){"--version=3", NULL}), T3D_USAGE);
}

static void questions_end_the_parsing(void **state)
{
    (void)state;
    GOOD("--help", "--nonsense");
    assert_string_equal(info, "help");
    GOOD("-fh");
    assert_string_equal(info, "help");
    GOOD("--help=man");
    assert_string_equal(info, "man");
    GOOD("--version");
    assert_string_equal(info, "version");
    GOOD("--completion=zsh");
    assert_string_equal(info, "completion-zsh");
    GOOD("--completion", "fish");
    assert_string_equal(info, "completion-fish");
    BAD("--completion=csh");
    BAD("--completion");
    BAD("--help=me");
}

static void what_was_given_is_known(void **state)
{
    (void)state;
    GOOD("-n", "200", "--no-fast", "-n3");
    assert_int_equal(t3d_opt_given(&conf.common, "count"), 1);
    assert_int_equal(t3d_opt_given(&conf.common, "fast"), 1);
    assert_int_equal(t3d_opt_given(&conf.common, "light"), 0);
    assert_int_equal(t3d_opt_given(&conf.common, "coun"), 0);
}

static void the_environment_names_the_workspace(void **state)
{
    (void)state;
    setenv("T3D_WORKSPACE", "/w", 1);
    GOOD("-f");
    assert_string_equal(conf.common.workspace, "/w");
    GOOD("-C", "v");
    assert_string_equal(conf.common.workspace, "v");
    unsetenv("T3D_WORKSPACE");
}

static void nearest_words(void **state)
{
    char buf[16];

    (void)state;
    assert_string_equal(t3d_did_you_mean("redner", "filter render embed", buf, 16), "render");
    assert_string_equal(t3d_did_you_mean("filtr", " filter  render", buf, 16), "filter");
    assert_string_equal(t3d_did_you_mean("rendering", "render rendring", buf, 16), "rendring");
    assert_null(t3d_did_you_mean("xyz", "filter render", buf, 16));
    assert_null(t3d_did_you_mean("ab", "cd", buf, 16));
    assert_null(t3d_did_you_mean("", "", buf, 16));
    assert_null(t3d_did_you_mean("filtr", "filter", buf, 4));
}

static const char *const rank_variables[] = {"SLURM_ARRAY_TASK_ID",
                                             "SLURM_ARRAY_TASK_MIN",
                                             "SLURM_ARRAY_TASK_STEP",
                                             "SLURM_ARRAY_TASK_COUNT",
                                             "SLURM_PROCID",
                                             "SLURM_NTASKS",
                                             "SLURM_STEP_NUM_TASKS",
                                             "OMPI_COMM_WORLD_RANK",
                                             "OMPI_COMM_WORLD_SIZE",
                                             "PMI_RANK",
                                             "PMI_SIZE",
                                             "JOB_COMPLETION_INDEX",
                                             "AWS_BATCH_JOB_ARRAY_INDEX"};

/* environment: "NAME=VALUE NAME=VALUE"; want "i/N" or "" for an error */
static void expect_shard(const char *environment, const char *text, const char *want)
{
    char *copy = t3d_strdup(&arena, environment), got[32] = "", *word, *rest = copy;
    uint32_t i, n;

    for (size_t k = 0; k < T3D_COUNT(rank_variables); k++)
        unsetenv(rank_variables[k]);
    while ((word = strsep(&rest, " ")) && *word) {
        char *equals = strchr(word, '=');

        *equals = 0;
        setenv(word, equals + 1, 1);
    }
    if (t3d_shard_parse(text, &i, &n, &err) == T3D_OK)
        snprintf(got, sizeof got, "%u/%u", i, n);
    assert_string_equal(got, want);
}

static void shards_are_given_or_found(void **state)
{
    (void)state;
    expect_shard("", "0/1", "0/1");
    expect_shard("", "3/8", "3/8");
    for (size_t k = 0; k < 8; k++)
        expect_shard("", (const char *[]){"8/8", "-1/8", "1", "1/", "/8", "1/0", "1/8x", "auto"}[k],
                     "");
    expect_shard("SLURM_ARRAY_TASK_ID=3 SLURM_ARRAY_TASK_COUNT=8", "auto", "3/8");
    expect_shard("SLURM_ARRAY_TASK_ID=7 SLURM_ARRAY_TASK_MIN=1 SLURM_ARRAY_TASK_STEP=2 "
                 "SLURM_ARRAY_TASK_COUNT=5",
                 "auto", "3/5");
    /* a batch script inside an array element: the array alone; in an srun step: both */
    expect_shard("SLURM_ARRAY_TASK_ID=1 SLURM_ARRAY_TASK_COUNT=2 SLURM_PROCID=0 SLURM_NTASKS=4",
                 "auto", "1/2");
    expect_shard(
        "SLURM_ARRAY_TASK_ID=1 SLURM_ARRAY_TASK_COUNT=2 SLURM_PROCID=3 SLURM_STEP_NUM_TASKS=4",
        "auto", "7/8");
    expect_shard("SLURM_PROCID=2 SLURM_NTASKS=4", "auto", "2/4");
    expect_shard("OMPI_COMM_WORLD_RANK=1 OMPI_COMM_WORLD_SIZE=3", "auto", "1/3");
    expect_shard("PMI_RANK=0 PMI_SIZE=2", "auto", "0/2");
    expect_shard("JOB_COMPLETION_INDEX=4", "auto", "");
    expect_shard("JOB_COMPLETION_INDEX=4", "auto/6", "4/6");
    expect_shard("JOB_COMPLETION_INDEX=6", "auto/6", "");
    expect_shard("SLURM_PROCID=x SLURM_NTASKS=4", "auto", "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_those_of_the_table),
        cmocka_unit_test(all_ways_to_give_a_value),
        cmocka_unit_test(lists_grow_and_replace_the_default),
        cmocka_unit_test(operands_may_stand_anywhere),
        cmocka_unit_test(operands_follow_the_synopsis),
        cmocka_unit_test(numbers_are_strict),
        cmocka_unit_test(sizes_have_units),
        cmocka_unit_test(mistakes_are_named),
        cmocka_unit_test(questions_end_the_parsing),
        cmocka_unit_test(what_was_given_is_known),
        cmocka_unit_test(the_environment_names_the_workspace),
        cmocka_unit_test(nearest_words),
        cmocka_unit_test(shards_are_given_or_found),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
