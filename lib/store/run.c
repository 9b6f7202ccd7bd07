/* SPDX-License-Identifier: Apache-2.0 */
/* Runs and their claims. A claim is an owner in a row of stage_state; it is as good as its run. */
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "store/manifest_impl.h"
#include "store/run_impl.h"

enum { LEASE = 600, RENEW = 60 };

static int64_t now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_REALTIME, &t);
    return t.tv_sec;
}

/* Field 22 of /proc/PID/stat: start time in clock ticks since boot (proc(5)); the name in field 2
 * may hold anything, so fields are counted behind the last ')'. -1 = no such process. */
int64_t t3di_process_start(int64_t pid)
{
    char path[64], text[1024], *p;
    FILE *f;
    size_t n;

    snprintf(path, sizeof path, "/proc/%lld/stat", (long long)pid);
    f = fopen(path, "re");
    if (!f)
        return -1;
    n = fread(text, 1, sizeof text - 1, f);
    fclose(f);
    text[n] = 0;
    p = strrchr(text, ')');
    for (int field = 2; p && field < 22; field++)
        p = strchr(p + 1, ' ');
    return p ? strtoll(p + 1, NULL, 10) : -1;
}

void t3di_here(struct t3di_place *p)
{
    FILE *f = fopen("/proc/sys/kernel/random/boot_id", "re");

    memset(p, 0, sizeof *p);
    if (gethostname(p->host, sizeof p->host - 1) < 0)
        snprintf(p->host, sizeof p->host, "localhost");
    if (f) {
        if (fgets(p->boot, sizeof p->boot, f))
            p->boot[strcspn(p->boot, "\n")] = 0;
        fclose(f);
    }
    if (readlink("/proc/self/ns/pid", p->space, sizeof p->space - 1) < 0)
        p->space[0] = 0;
}

/* The pid can be looked up only in our own process namespace; after a reboot no process is left. */
int t3di_run_alive(const struct t3di_place *here, const struct t3di_place *there, int64_t pid,
                   int64_t start, int64_t lease)
{
    if (strcmp(here->host, there->host) == 0 && strcmp(here->boot, there->boot) != 0)
        return 0;
    if (strcmp(here->boot, there->boot) == 0 && strcmp(here->space, there->space) == 0)
        return t3di_process_start(pid) == start;
    return now() < lease;
}

/* What a dead run had in hand is not done, whatever was there before: its data may be half
 * replaced. */
static int free_claims(struct t3d_manifest *m, int64_t run, struct t3d_err *err)
{
    int r = t3di_exec(
        m, err,
        "UPDATE stage_state SET owner = NULL, state = 0, key = NULL, reason = NULL, value "
        "= NULL, message = NULL WHERE owner = ?1",
        "i", run);

    if (r == T3D_OK)
        r = t3di_exec(m, err, "UPDATE run SET ended = ?2 WHERE id = ?1", "ii", run, now());
    return r;
}

static int list_dead(struct t3d_manifest *m, int64_t *dead, int max, int *n, struct t3d_err *err)
{
    struct t3di_place here, there;
    sqlite3_stmt *st;
    int r = t3di_query(
        m, &st, err,
        "SELECT id, host, boot, space, pid, start, lease FROM run WHERE ended = 0 AND id "
        "IS NOT ?1 ORDER BY id",
        "i", m->run);

    *n = 0;
    memset(&there, 0, sizeof there);
    t3di_here(&here);
    while (r == T3D_OK && *n < max && (r = t3di_step(m, st, err)) == T3D_OK) {
        snprintf(there.host, sizeof there.host, "%s", (const char *)sqlite3_column_text(st, 1));
        snprintf(there.boot, sizeof there.boot, "%s", (const char *)sqlite3_column_text(st, 2));
        snprintf(there.space, sizeof there.space, "%s", (const char *)sqlite3_column_text(st, 3));
        if (!t3di_run_alive(&here, &there, sqlite3_column_int64(st, 4), sqlite3_column_int64(st, 5),
                            sqlite3_column_int64(st, 6)))
            dead[(*n)++] = sqlite3_column_int64(st, 0);
    }
    t3di_done(st);
    return r < 0 ? r : T3D_OK;
}

int t3d_run_reap(struct t3d_manifest *m, int *freed, struct t3d_err *err)
{
    int64_t dead[64];
    int n, own, r;

    *freed = 0;
    /* Look first without the write lock: nearly always nobody has died. */
    r = list_dead(m, dead, (int)T3D_COUNT(dead), &n, err);
    if (r < 0 || n == 0)
        return r;
    r = t3di_begin(m, &own, err);
    if (r < 0)
        return r;
    r = list_dead(m, dead, (int)T3D_COUNT(dead), &n, err);
    for (int i = 0; i < n && r == T3D_OK; i++)
        r = free_claims(m, dead[i], err);
    *freed = n;
    return t3di_end(m, own, r, err);
}

/* NAME.<pid>.<n>.tmp of a process of this host that is gone. */
int t3di_stale_tmp(const char *name)
{
    const char *end = strrchr(name, '.'), *p;
    char *stop;
    long pid;

    if (!end || strcmp(end, ".tmp") != 0)
        return 0;
    for (p = end; p > name && p[-1] != '.'; p--)
        ; /* now at <n> */
    if (p == end || p == name)
        return 0;
    for (p--; p > name && p[-1] != '.'; p--)
        ; /* now at <pid> */
    pid = strtol(p, &stop, 10);
    return pid > 0 && *stop == '.' && kill((pid_t)pid, 0) < 0 && errno == ESRCH;
}

void t3di_remove_stale(const char *dir)
{
    DIR *d = opendir(dir);
    struct dirent *e;

    if (!d)
        return;
    while ((e = readdir(d)))
        if (t3di_stale_tmp(e->d_name))
            unlinkat(dirfd(d), e->d_name, 0);
    closedir(d);
}

int t3d_run_begin(struct t3d_manifest *m, const char *tool, struct t3d_err *err)
{
    struct t3d_arena a = {0};
    struct t3di_place here;
    char *objects = t3d_sprintf(&a, "%s/objects", m->workspace);
    int freed, r;

    if (objects)
        t3di_remove_stale(objects);
    t3d_arena_free(&a);
    if (m->run)
        return T3D_OK;
    t3di_here(&here);
    r = t3d_run_reap(m, &freed, err);
    if (r == T3D_OK)
        r = t3di_exec(
            m, err,
            "INSERT INTO run(tool, host, boot, space, pid, start, lease, ended) VALUES(?1, "
            "?2, ?3, ?4, ?5, ?6, ?7, 0)",
            "ttttiii", tool, here.host, here.boot, here.space, (int64_t)getpid(),
            t3di_process_start(getpid()), now() + LEASE);
    if (r == T3D_OK) {
        m->run = sqlite3_last_insert_rowid(m->db);
        m->lease_due = now() + RENEW;
    }
    return r;
}

int t3d_run_renew(struct t3d_manifest *m, struct t3d_err *err)
{
    int64_t t = now();

    if (!m->run || t < m->lease_due)
        return T3D_OK;
    m->lease_due = t + RENEW;
    return t3di_exec(m, err, "UPDATE run SET lease = ?2 WHERE id = ?1", "ii", m->run, t + LEASE);
}

int t3d_run_end(struct t3d_manifest *m, struct t3d_err *err)
{
    int own, r = T3D_OK;

    if (!m->run)
        return T3D_OK;
    r = t3di_begin(m, &own, err);
    if (r < 0)
        return r;
    r = t3di_exec(m, err, "DELETE FROM stage_state WHERE owner = ?1 AND state = 0", "i", m->run);
    if (r == T3D_OK)
        r = t3di_exec(m, err, "UPDATE stage_state SET owner = NULL WHERE owner = ?1", "i", m->run);
    if (r == T3D_OK)
        r = t3di_exec(m, err, "UPDATE run SET ended = ?2 WHERE id = ?1", "ii", m->run, now());
    r = t3di_end(m, own, r, err);
    if (r >= 0)
        m->run = 0;
    return r;
}

int t3d_manifest_claim(struct t3d_manifest *m, const char *stage, struct t3d_claim *claim, size_t n,
                       struct t3d_err *err)
{
    int id, own, r = t3di_begin(m, &own, err);

    if (r < 0)
        return r;
    r = t3di_stage(m, stage, 1, &id, err);
    for (size_t i = 0; i < n && r == T3D_OK; i++) {
        r = t3di_exec(
            m, err,
            "INSERT INTO stage_state(stage, num, state, attempt, owner) VALUES(?1, ?2, 0, 0, "
            "?3) ON CONFLICT DO UPDATE SET owner = excluded.owner WHERE owner IS NULL AND "
            "attempt = ?4 AND key IS ?5",
            "iiiix", (int64_t)id, claim[i].num, m->run, (int64_t)claim[i].seen->attempt,
            claim[i].seen->key);
        claim[i].got = r == T3D_OK && sqlite3_changes(m->db) == 1;
    }
    return t3di_end(m, own, r, err);
}
