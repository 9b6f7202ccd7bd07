/* SPDX-License-Identifier: Apache-2.0 */
#include "store/lookup.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"

enum { VERSION = 1, BUSY_MS = 30000 };

struct t3d_lookup {
    sqlite3 *db;
    char *path;
    sqlite3_stmt *table, *add, *find;
    int64_t filling; /* id of the table that is being filled; 0 = none */
    char last[80];   /* the table that was looked into last, and its id */
    int64_t last_id;
};

static int fault(struct t3d_lookup *l, struct t3d_err *err)
{
    int code = l->db ? sqlite3_errcode(l->db) : SQLITE_NOMEM;
    int io = code == SQLITE_FULL || code == SQLITE_IOERR || code == SQLITE_CANTOPEN;

    return t3d_err_set(err,
                       io                    ? T3D_IO
                       : code == SQLITE_BUSY ? T3D_RETRY
                                             : T3D_FAIL,
                       "index", "'%s': %s", l->path ? l->path : "an index",
                       l->db ? sqlite3_errmsg(l->db) : "out of memory");
}

static int run(struct t3d_lookup *l, const char *sql, struct t3d_err *err)
{
    return sqlite3_exec(l->db, sql, NULL, NULL, NULL) == SQLITE_OK ? T3D_OK : fault(l, err);
}

static int prepare(struct t3d_lookup *l, sqlite3_stmt **st, const char *sql, struct t3d_err *err)
{
    return sqlite3_prepare_v2(l->db, sql, -1, st, NULL) == SQLITE_OK ? T3D_OK : fault(l, err);
}

static int64_t version(sqlite3 *db)
{
    sqlite3_stmt *st = NULL;
    int64_t v = -1;

    if (sqlite3_prepare_v2(db, "PRAGMA user_version", -1, &st, NULL) == SQLITE_OK &&
        sqlite3_step(st) == SQLITE_ROW)
        v = sqlite3_column_int64(st, 0);
    sqlite3_finalize(st);
    return v;
}

static int open_db(struct t3d_lookup *l, struct t3d_err *err)
{
    int r = sqlite3_open(l->path, &l->db) == SQLITE_OK ? T3D_OK : fault(l, err);
    int64_t v;

    if (r < 0)
        return r;
    sqlite3_busy_timeout(l->db, BUSY_MS);
    v = version(l->db);
    if (v == VERSION)
        return T3D_OK;
    if (v != 0)
        return T3D_SKIP; /* not ours, or damaged */
    return run(l,
               "PRAGMA journal_mode = WAL; BEGIN IMMEDIATE;"
               "CREATE TABLE IF NOT EXISTS tables(id INTEGER PRIMARY KEY, name TEXT UNIQUE, source "
               "TEXT);"
               "CREATE TABLE IF NOT EXISTS entry(tab INTEGER, key TEXT, text TEXT,"
               " PRIMARY KEY(tab, key)) WITHOUT ROWID;"
               "PRAGMA user_version = 1; COMMIT",
               err);
}

void t3d_lookup_remove(const char *path)
{
    static const char *const beside[] = {"-wal", "-shm", ""};
    char name[4096];

    /* The log first: it must not be taken for that of a file made anew. */
    for (size_t i = 0; i < T3D_COUNT(beside); i++)
        if (snprintf(name, sizeof name, "%s%s", path, beside[i]) < (int)sizeof name)
            unlink(name);
}

int t3d_lookup_open(struct t3d_lookup **out, const char *path, struct t3d_err *err)
{
    struct t3d_lookup *l = calloc(1, sizeof *l);
    int r;

    if (!l || !(l->path = strdup(path))) {
        t3d_lookup_close(l);
        return t3d_err_nomem(err, path);
    }
    r = t3d_make_parent(path, err);
    if (r == T3D_OK)
        r = open_db(l, err);
    if (r == T3D_SKIP) {
        sqlite3_close(l->db);
        l->db = NULL;
        t3d_lookup_remove(path);
        r = open_db(l, err);
    }
    if (r == T3D_OK)
        r = run(l, "PRAGMA synchronous = NORMAL; PRAGMA cache_size = -65536", err);
    if (r == T3D_OK)
        r = prepare(l, &l->table, "SELECT id FROM tables WHERE name = ?1", err);
    if (r == T3D_OK)
        r = prepare(l, &l->find, "SELECT text FROM entry WHERE tab = ?1 AND key = ?2", err);
    if (r == T3D_OK)
        r = prepare(l, &l->add,
                    "INSERT INTO entry VALUES(?1, ?2, ?3) ON CONFLICT DO UPDATE SET "
                    "text = text || char(10) || excluded.text",
                    err);
    if (r < 0) {
        t3d_lookup_close(l);
        return r;
    }
    *out = l;
    return T3D_OK;
}

void t3d_lookup_close(struct t3d_lookup *l)
{
    if (!l)
        return;
    sqlite3_finalize(l->table);
    sqlite3_finalize(l->find);
    sqlite3_finalize(l->add);
    if (l->db && l->filling)
        sqlite3_exec(l->db, "ROLLBACK", NULL, NULL, NULL);
    sqlite3_close(l->db);
    free(l->path);
    free(l);
}

/* Id of a table, 0 = there is none. */
static int64_t id_of(struct t3d_lookup *l, const char *table)
{
    if (l->last_id && strcmp(l->last, table) == 0)
        return l->last_id;
    sqlite3_reset(l->table);
    sqlite3_bind_text(l->table, 1, table, -1, SQLITE_TRANSIENT);
    l->last_id = sqlite3_step(l->table) == SQLITE_ROW ? sqlite3_column_int64(l->table, 0) : 0;
    sqlite3_reset(l->table);
    snprintf(l->last, sizeof l->last, "%s", table);
    if (strlen(table) >= sizeof l->last)
        l->last[0] = 0;
    return l->last_id;
}

/* The only value of a query with a text; otherwise when there is none. */
static int64_t ask(struct t3d_lookup *l, const char *sql, const char *a, const char *b)
{
    sqlite3_stmt *st = NULL;
    int64_t v = 0;

    if (sqlite3_prepare_v2(l->db, sql, -1, &st, NULL) == SQLITE_OK) {
        sqlite3_bind_text(st, 1, a, -1, SQLITE_STATIC);
        if (b)
            sqlite3_bind_text(st, 2, b, -1, SQLITE_STATIC);
        if (sqlite3_step(st) == SQLITE_ROW)
            v = sqlite3_column_int64(st, 0);
    }
    sqlite3_finalize(st);
    return v;
}

int t3d_lookup_has(struct t3d_lookup *l, const char *table, const char *source)
{
    return ask(l, "SELECT count(*) FROM tables WHERE name = ?1 AND source = ?2", table, source) > 0;
}

uint64_t t3d_lookup_count(struct t3d_lookup *l, const char *table)
{
    return (uint64_t)ask(
        l, "SELECT count(*) FROM entry WHERE tab = (SELECT id FROM tables WHERE name = ?1)", table,
        NULL);
}

int t3d_lookup_begin(struct t3d_lookup *l, const char *table, int fresh, struct t3d_err *err)
{
    int r = run(l, "BEGIN IMMEDIATE", err);

    if (r < 0)
        return r;
    l->filling = -1;
    l->last_id = 0;
    if (fresh)
        ask(l, "DELETE FROM entry WHERE tab = (SELECT id FROM tables WHERE name = ?1)", table,
            NULL);
    ask(l, "INSERT INTO tables(name, source) VALUES(?1, '') ON CONFLICT DO UPDATE SET source = ''",
        table, NULL);
    l->filling = id_of(l, table);
    if (l->filling)
        return T3D_OK;
    l->filling = -1;
    return fault(l, err);
}

int t3d_lookup_add(struct t3d_lookup *l, const char *key, const char *text, struct t3d_err *err)
{
    int code;

    sqlite3_bind_int64(l->add, 1, l->filling);
    sqlite3_bind_text(l->add, 2, key, -1, SQLITE_STATIC);
    sqlite3_bind_text(l->add, 3, text, -1, SQLITE_STATIC);
    code = sqlite3_step(l->add);
    sqlite3_reset(l->add);
    return code == SQLITE_DONE ? T3D_OK : fault(l, err);
}

int t3d_lookup_commit(struct t3d_lookup *l, const char *source, struct t3d_err *err)
{
    char id[32];
    int r;

    snprintf(id, sizeof id, "%lld", (long long)l->filling);
    ask(l, "UPDATE tables SET source = ?2 WHERE id = CAST(?1 AS INTEGER)", id, source);
    r = run(l, "COMMIT", err);
    if (r == T3D_OK)
        l->filling = 0;
    return r;
}

int t3d_lookup_find(struct t3d_lookup *l, const char *table, const char *key, const char **text,
                    struct t3d_err *err)
{
    int64_t id = id_of(l, table);
    int code;

    *text = NULL;
    sqlite3_reset(l->find);
    if (!id)
        return T3D_END;
    sqlite3_bind_int64(l->find, 1, id);
    sqlite3_bind_text(l->find, 2, key, -1, SQLITE_TRANSIENT);
    code = sqlite3_step(l->find);
    if (code == SQLITE_DONE)
        return T3D_END;
    if (code != SQLITE_ROW)
        return fault(l, err);
    *text = (const char *)sqlite3_column_text(l->find, 0);
    return *text ? T3D_OK : t3d_err_nomem(err, key);
}
