/* SPDX-License-Identifier: Apache-2.0 */
/* Rates of the manifest on this machine:  store [objects] -- NDJSON on stdout, work in a temporary
 * folder below TMPDIR. Objects have random content and uids, as real ones do. */
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/hash.h"
#include "base/log.h"
#include "store/stage.h"

static struct t3d_err err;

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void check(int r)
{
    if (r >= 0)
        return;
    fprintf(stderr, "store: %s\n", err.msg);
    exit(1);
}

static void report(const char *what, uint64_t n, double seconds)
{
    struct rusage u;

    getrusage(RUSAGE_SELF, &u);
    printf("{\"bench\":\"store\",\"phase\":\"%s\",\"objects\":%llu,\"seconds\":%.3f,\"rate\":%.0f,"
           "\"peak_mib\":%ld}\n",
           what, (unsigned long long)n, seconds, (double)n / seconds, u.ru_maxrss / 1024);
    fflush(stdout);
}

static void make_objects(struct t3d_manifest *m, uint64_t n)
{
    double start = now();

    check(t3d_manifest_begin(m, &err));
    for (uint64_t i = 0; i < n; i++) {
        struct t3d_object o = {.ending = "glb", .bytes = 1000, .source = "bench"};
        char path[48];
        snprintf(path, sizeof path, "objects/%llu.glb", (unsigned long long)i);
        t3d_sha256_hex(path, strlen(path), o.content);
        memcpy(o.file_sha256, o.content, sizeof o.content);
        t3d_object_key(&o, o.uid);
        o.path = path;
        check(t3d_manifest_register(m, &o, 0, &err));
    }
    check(t3d_manifest_commit(m, &err));
    report("register", n, now() - start);
}

static void scan(struct t3d_manifest *m)
{
    struct t3d_arena a = {0};
    struct t3d_cursor *c;
    struct t3d_object o;
    double start = now();
    uint64_t n = 0;

    check(t3d_cursor_open(&c, m, 0, &err));
    while (t3d_cursor_next(c, &o, &a, &err) == T3D_OK) {
        n++;
        t3d_arena_reset(&a);
    }
    t3d_cursor_close(c);
    t3d_arena_free(&a);
    report("scan", n, now() - start);
}

/* Claim, put the state; 64 at a time, in `processes` processes. */
static void claims(const char *workspace, uint64_t n, int processes)
{
    double start = now();
    char what[32];
    int status;

    for (int p = 0; p < processes; p++) {
        struct t3d_manifest *m;
        struct t3d_state seen[64] = {0};
        struct t3d_claim c[64];
        if (fork())
            continue;
        snprintf(what, sizeof what, "bench-%d", processes);
        check(t3d_manifest_open(&m, workspace, 0, &err));
        check(t3d_run_begin(m, what, &err));
        for (uint64_t i = 64 * (uint64_t)p; i + 64 <= n; i += 64 * (uint64_t)processes) {
            for (int k = 0; k < 64; k++)
                c[k] = (struct t3d_claim){.num = (int64_t)i + k, .seen = &seen[k]};
            check(t3d_manifest_claim(m, what, c, 64, &err));
            check(t3d_manifest_begin(m, &err));
            for (int k = 0; k < 64; k++) {
                struct t3d_state s = {.code = T3D_STATE_OK, .value = NAN};
                t3d_sha256_hex(&c[k].num, sizeof c[k].num, s.key);
                check(t3d_manifest_put_state(m, what, c[k].num, &s, &err));
            }
            check(t3d_manifest_commit(m, &err));
        }
        t3d_manifest_close(m);
        _exit(0);
    }
    for (int p = 0; p < processes; p++)
        if (wait(&status) < 0 || status)
            exit(1);
    snprintf(what, sizeof what, "claim+finish x%d", processes);
    report(what, n, now() - start);
}

static void no_work(void *ctx, int thread, struct t3d_stage_item *item)
{
    (void)ctx, (void)thread;
    item->code = T3D_STATE_OK;
}

static void loop(const char *workspace, uint64_t n, const char *what)
{
    struct t3d_stage st = {.name = "bench-loop", .work = no_work};
    struct t3d_common common = {
        .workspace = workspace, .threads = 2, .progress = "none", .shard_count = 1};
    struct t3d_stage_summary sum;
    struct t3d_manifest *m;
    double start = now();

    check(t3d_manifest_open(&m, workspace, 0, &err));
    check(t3d_stage_run(&st, NULL, m, &common, &sum, &err));
    t3d_manifest_close(m);
    report(what, n, now() - start);
}

int main(int argc, char **argv)
{
    uint64_t n = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000000;
    const char *tmp = getenv("TMPDIR");
    struct t3d_manifest *m;
    char dir[256], command[300];
    int status;

    t3d_log_init("store", T3D_LOG_ERROR);
    snprintf(dir, sizeof dir, "%s/t3d-bench.XXXXXX", tmp ? tmp : "/tmp");
    if (!mkdtemp(dir))
        return 1;
    check(t3d_manifest_open(&m, dir, T3D_MANIFEST_CREATE, &err));
    make_objects(m, n);
    scan(m);
    t3d_manifest_close(m);
    claims(dir, n, 1);
    claims(dir, n, 4);
    loop(dir, n, "stage loop");
    loop(dir, n, "stage loop, nothing to do");
    snprintf(command, sizeof command, "rm -rf '%s'", dir);
    status = system(command);
    return status != 0;
}
