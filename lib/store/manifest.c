/* SPDX-License-Identifier: Apache-2.0 */
#include "store/manifest.h"

#include <errno.h>
#include <linux/magic.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/file.h"
#include "base/hash.h"
#include "store/manifest_impl.h"
#include "store/schema_impl.h"

int t3di_sqlite_err(struct t3d_manifest *m, const char *what, struct t3d_err *err)
{
    int code = sqlite3_errcode(m->db) & 0xff;
    const char *text = sqlite3_errmsg(m->db);

    switch (code) {
    case SQLITE_FULL:
        return t3d_err_set(err, T3D_IO, "disk-full",
                           "cannot %s in '%s/manifest.db': %s; free some space and run the same "
                           "command again",
                           what, m->workspace, text);
    case SQLITE_IOERR:
        return t3d_err_set(err, T3D_IO, "io-error", "cannot %s in '%s/manifest.db': %s", what,
                           m->workspace, text);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return t3d_err_set(err, T3D_RETRY, "manifest-busy",
                           "cannot %s in '%s/manifest.db': another process has held it for 30 s; "
                           "run the same command again",
                           what, m->workspace);
    case SQLITE_NOTADB:
        return t3d_err_set(err, T3D_USAGE, "not-a-manifest",
                           "'%s/manifest.db' is not a database: move it away or choose another "
                           "workspace with -C",
                           m->workspace);
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
        return t3d_err_set(err, T3D_FAIL, "not-writable",
                           "cannot %s in '%s/manifest.db': this user may not write there; give "
                           "the folder write permission, or copy the workspace",
                           what, m->workspace);
    case SQLITE_CORRUPT:
        return t3d_err_set(err, T3D_FAIL, "damaged-manifest",
                           "'%s/manifest.db' is damaged (%s); `t3d manifest check` shows how far, "
                           "or delete it and run fetch again",
                           m->workspace, text);
    default:
        return t3d_err_set(err, T3D_FAIL, "manifest", "cannot %s in '%s/manifest.db': %s", what,
                           m->workspace, text);
    }
}

static int prepare(struct t3d_manifest *m, const char *sql, sqlite3_stmt **st, struct t3d_err *err)
{
    size_t i = ((uintptr_t)sql >> 3) * 0x9e3779b97f4a7c15u >> 57;

    for (size_t k = 0; k < T3DI_STATEMENTS; k++, i = (i + 1) % T3DI_STATEMENTS) {
        if (m->statement[i].sql == sql) {
            *st = m->statement[i].st;
            return T3D_OK;
        }
        if (m->statement[i].sql)
            continue;
        if (sqlite3_prepare_v3(m->db, sql, -1, SQLITE_PREPARE_PERSISTENT, st, NULL) != SQLITE_OK)
            return t3di_sqlite_err(m, "prepare a statement", err);
        m->statement[i].sql = sql;
        m->statement[i].st = *st;
        return T3D_OK;
    }
    return t3d_err_set(err, T3D_FAIL, "manifest", "too many prepared statements");
}

static int bind_hex(sqlite3_stmt *st, int i, const char *hex)
{
    unsigned char bytes[32];
    size_t n = strlen(hex) / 2;

    if (n == 0)
        return sqlite3_bind_null(st, i);
    if (n > sizeof bytes || t3d_unhex(hex, n, bytes) < 0)
        return SQLITE_MISMATCH;
    return sqlite3_bind_blob(st, i, bytes, (int)n, SQLITE_TRANSIENT);
}

static int vquery(struct t3d_manifest *m, sqlite3_stmt **st, struct t3d_err *err, const char *sql,
                  const char *types, va_list ap)
{
    int r = prepare(m, sql, st, err), s = SQLITE_OK;

    if (r < 0)
        return r;
    for (int i = 1; types[i - 1] && s == SQLITE_OK; i++) {
        switch (types[i - 1]) {
        case 'i':
            s = sqlite3_bind_int64(*st, i, va_arg(ap, int64_t));
            break;
        case 't':
            s = sqlite3_bind_text(*st, i, va_arg(ap, const char *), -1, SQLITE_STATIC);
            break;
        case 'x':
            s = bind_hex(*st, i, va_arg(ap, const char *));
            break;
        default:
            s = sqlite3_bind_double(*st, i, va_arg(ap, double));
        }
    }
    if (s == SQLITE_MISMATCH)
        return t3d_err_set(err, T3D_FAIL, "bad-hash", "a hash is not a string of hex digits");
    return s == SQLITE_OK ? T3D_OK : t3di_sqlite_err(m, "bind a value", err);
}

int t3di_query(struct t3d_manifest *m, sqlite3_stmt **st, struct t3d_err *err, const char *sql,
               const char *types, ...)
{
    va_list ap;
    int r;

    *st = NULL;
    va_start(ap, types);
    r = vquery(m, st, err, sql, types, ap);
    va_end(ap);
    return r;
}

int t3di_step(struct t3d_manifest *m, sqlite3_stmt *st, struct t3d_err *err)
{
    int s = sqlite3_step(st);

    if (s == SQLITE_ROW)
        return T3D_OK;
    if (s == SQLITE_DONE) {
        t3di_done(st);
        return T3D_END;
    }
    s = t3di_sqlite_err(m, "run a statement", err);
    t3di_done(st);
    return s;
}

void t3di_done(sqlite3_stmt *st)
{
    if (!st)
        return;
    sqlite3_reset(st);
    sqlite3_clear_bindings(st);
}

int t3di_exec(struct t3d_manifest *m, struct t3d_err *err, const char *sql, const char *types, ...)
{
    sqlite3_stmt *st = NULL;
    va_list ap;
    int r;

    va_start(ap, types);
    r = vquery(m, &st, err, sql, types, ap);
    va_end(ap);
    while (r == T3D_OK)
        r = t3di_step(m, st, err);
    return r < 0 ? r : T3D_OK;
}

int t3di_int(struct t3d_manifest *m, int64_t *out, int64_t otherwise, struct t3d_err *err,
             const char *sql, const char *types, ...)
{
    sqlite3_stmt *st = NULL;
    va_list ap;
    int r;

    va_start(ap, types);
    r = vquery(m, &st, err, sql, types, ap);
    va_end(ap);
    *out = otherwise;
    if (r == T3D_OK)
        r = t3di_step(m, st, err);
    if (r == T3D_OK && sqlite3_column_type(st, 0) != SQLITE_NULL)
        *out = sqlite3_column_int64(st, 0);
    if (r == T3D_OK)
        t3di_done(st);
    return r < 0 ? r : T3D_OK;
}

void t3di_column_hex(sqlite3_stmt *st, int column, char *out, size_t bytes)
{
    const void *p = sqlite3_column_blob(st, column);

    out[0] = 0;
    if (p && (size_t)sqlite3_column_bytes(st, column) == bytes)
        t3d_hex(p, bytes, out);
}

/* --- transactions --------------------------------------------------------------------------------
 */

int t3d_manifest_begin(struct t3d_manifest *m, struct t3d_err *err)
{
    /* IMMEDIATE: a transaction that starts by reading and writes later can fail at once with
     * SQLITE_BUSY_SNAPSHOT, which no busy timeout covers. */
    int r = t3di_exec(m, err, "BEGIN IMMEDIATE", "");

    m->writing = r == T3D_OK;
    m->next_num = -1;
    return r;
}

int t3d_manifest_commit(struct t3d_manifest *m, struct t3d_err *err)
{
    int r = t3di_exec(m, err, "COMMIT", "");

    if (r < 0)
        t3d_manifest_rollback(m);
    m->writing = 0;
    return r;
}

void t3d_manifest_rollback(struct t3d_manifest *m)
{
    /* A full disk has rolled back by itself. */
    if (!sqlite3_get_autocommit(m->db))
        (void)!t3di_exec(m, NULL, "ROLLBACK", "");
    m->writing = 0;
    m->n_stages = 0; /* names added inside are gone */
}

int t3di_read_begin(struct t3d_manifest *m, struct t3d_err *err)
{
    int r = T3D_OK;

    if (!m->writing && m->reading == 0)
        r = t3di_exec(m, err, "BEGIN", "");
    if (!m->writing && r == T3D_OK)
        m->reading++;
    return r;
}

void t3di_read_end(struct t3d_manifest *m)
{
    if (!m->writing && --m->reading == 0)
        (void)!t3di_exec(m, NULL, "COMMIT", "");
}

int t3di_begin(struct t3d_manifest *m, int *own, struct t3d_err *err)
{
    *own = !m->writing;
    return *own ? t3d_manifest_begin(m, err) : T3D_OK;
}

int t3di_end(struct t3d_manifest *m, int own, int r, struct t3d_err *err)
{
    if (!own)
        return r;
    if (r >= 0) {
        int c = t3d_manifest_commit(m, err);
        return c < 0 ? c : r;
    }
    t3d_manifest_rollback(m);
    return r;
}

/* --- open ----------------------------------------------------------------------------------------
 */

/* statfs(2) types on which POSIX locks and WAL's shared memory are not to be trusted. Those missing
 * from linux/magic.h are from the kernels or manuals of the file systems. */
static const char *network_file_system(long type)
{
    switch (type & 0xffffffffL) {
    case NFS_SUPER_MAGIC:
        return "NFS";
    case SMB_SUPER_MAGIC:
    case 0xff534d42L: /* CIFS */
    case 0xfe534d42L: /* SMB2 */
        return "SMB";
    case 0x65735546L:
        return "FUSE";
    case 0x0bd00bd0L:
        return "Lustre";
    case V9FS_MAGIC:
        return "9p";
    case AFS_SUPER_MAGIC:
    case AFS_FS_MAGIC:
        return "AFS";
    case 0x00c36400L:
        return "Ceph";
    case 0x47504653L:
        return "GPFS";
    case 0x19830326L:
        return "BeeGFS";
    case CODA_SUPER_MAGIC:
        return "Coda";
    case NCP_SUPER_MAGIC:
        return "NCP";
    default:
        return NULL;
    }
}

static int check_file_system(const char *workspace, struct t3d_err *err)
{
    struct statfs fs;
    const char *kind;

    if (statfs(workspace, &fs) < 0)
        return t3d_err_sys(err, "cannot look at the workspace", workspace);
    kind = network_file_system((long)fs.f_type);
    if (!kind)
        return T3D_OK;
    return t3d_err_set(
        err, T3D_USAGE, "network-file-system",
        "the workspace '%s' is on a network file system (%s), where manifest.db can "
        "be damaged: choose a local disk with -C, work in parts with --shard i/N and "
        "join them with `t3d manifest merge`",
        workspace, kind);
}

static int pragma(struct t3d_manifest *m, const char *sql, int64_t *out, struct t3d_err *err)
{
    sqlite3_stmt *st = NULL;
    int s;

    if (sqlite3_prepare_v2(m->db, sql, -1, &st, NULL) != SQLITE_OK)
        return t3di_sqlite_err(m, "read", err);
    s = sqlite3_step(st);
    if (s == SQLITE_ROW && out)
        *out = sqlite3_column_int64(st, 0);
    sqlite3_finalize(st);
    return s == SQLITE_ROW || s == SQLITE_DONE ? T3D_OK : t3di_sqlite_err(m, "read", err);
}

static int script(struct t3d_manifest *m, const char *sql, struct t3d_err *err)
{
    if (sqlite3_exec(m->db, sql, NULL, NULL, NULL) != SQLITE_OK)
        return t3di_sqlite_err(m, "set up the tables", err);
    return T3D_OK;
}

/* Call it inside a transaction: another process may be making the tables. */
static int check_version(struct t3d_manifest *m, int64_t *version, struct t3d_err *err)
{
    int64_t id = 0, tables = 0;
    int r = pragma(m, "PRAGMA application_id", &id, err);

    if (r == T3D_OK)
        r = pragma(m, "PRAGMA user_version", version, err);
    if (r == T3D_OK)
        r = pragma(m, "SELECT count(*) FROM sqlite_schema", &tables, err);
    if (r < 0)
        return r;
    if ((id != T3DI_APPLICATION_ID && (id || tables)) || *version < 0)
        return t3d_err_set(err, T3D_USAGE, "not-a-manifest",
                           "'%s/manifest.db' is a database of another program (application_id "
                           "%#llx): move it away or choose another workspace with -C",
                           m->workspace, (unsigned long long)id);
    if (*version > t3di_schema_version)
        return t3d_err_set(err, T3D_USAGE, "newer-manifest",
                           "'%s/manifest.db' has version %lld and this t3d knows up to %d: use the "
                           "newer t3d that wrote it",
                           m->workspace, (long long)*version, t3di_schema_version);
    return T3D_OK;
}

/* Under the write lock, since two processes may open a new workspace at once. */
static int migrate(struct t3d_manifest *m, struct t3d_err *err)
{
    int64_t version = 0;
    int r = t3d_manifest_begin(m, err);

    if (r == T3D_OK)
        r = check_version(m, &version, err);
    if (r == T3D_OK && version == 0)
        r = script(m, "PRAGMA application_id = 0x5433444d", err);
    for (int64_t v = version; v < t3di_schema_version && r == T3D_OK; v++) {
        char set[48];
        snprintf(set, sizeof set, "PRAGMA user_version = %lld", (long long)v + 1);
        r = script(m, t3di_schema[v], err);
        if (r == T3D_OK)
            r = script(m, set, err);
    }
    if (r == T3D_OK)
        return t3d_manifest_commit(m, err);
    if (m->writing)
        t3d_manifest_rollback(m);
    return r;
}

static int check_version_now(struct t3d_manifest *m, int64_t *version, struct t3d_err *err)
{
    int r = script(m, "BEGIN", err);

    if (r < 0)
        return r;
    r = check_version(m, version, err);
    (void)!script(m, "COMMIT", NULL);
    return r;
}

/* The change of mode needs the file for itself, and is refused at once, whatever the busy timeout.
 */
static int set_wal(struct t3d_manifest *m, struct t3d_err *err)
{
    const struct timespec nap = {.tv_nsec = 5000000};
    int r = T3D_RETRY;

    for (int i = 0; r == T3D_RETRY && i < 6000; i++) {
        r = pragma(m, "PRAGMA journal_mode = WAL", NULL, err);
        if (r == T3D_RETRY)
            nanosleep(&nap, NULL);
    }
    return r;
}

static int set_up(struct t3d_manifest *m, int flags, struct t3d_err *err)
{
    int64_t version = 0;
    int r;

    /* synchronous=NORMAL: a power cut may lose the last commits, which are then redone, and never
     * damages. secure_delete is on in Debian's build and costs a fifth of the claim rate. A larger
     * cache makes loading a million objects no faster. */
    sqlite3_busy_timeout(m->db, 30000);
    r = script(m,
               "PRAGMA secure_delete = OFF; PRAGMA cache_size = -40960; PRAGMA temp_store = 2;"
               "PRAGMA journal_size_limit = 67108864",
               err);
    if (r == T3D_OK)
        r = check_version_now(m, &version, err);
    if (r < 0 || flags & T3D_MANIFEST_READONLY) {
        if (r == T3D_OK && version < t3di_schema_version)
            r = t3d_err_set(err, T3D_USAGE, "older-manifest",
                            "'%s/manifest.db' has version %lld and has to be brought to %d first: "
                            "run `t3d manifest check` in it, or any stage",
                            m->workspace, (long long)version, t3di_schema_version);
        return r;
    }
    if (version == 0)
        r = script(m, "PRAGMA page_size = 8192", err);
    if (r == T3D_OK)
        r = set_wal(m, err);
    if (r == T3D_OK)
        r = script(m, "PRAGMA synchronous = NORMAL", err);
    if (r == T3D_OK && version < t3di_schema_version)
        r = migrate(m, err);
    return r;
}

/* Readers share memory beside the database. Where the folder cannot be written and no process has
 * it open (there is no log), the file is read as one that does not change; *uri = NULL: as usual.
 */
static int as_it_is(char **uri, const char *path, const char *workspace, struct t3d_arena *a)
{
    static const char hex[] = "0123456789abcdef";
    char *log = t3d_sprintf(a, "%s-wal", path), *name, *p;

    *uri = NULL;
    if (!log || access(workspace, W_OK) == 0 || access(log, F_OK) == 0)
        return log ? 0 : -1;
    p = name = t3d_alloc(a, 3 * strlen(path) + 1, 1);
    for (const char *s = path; name && *s; s++)
        if (strchr("?#%", *s)) {
            *p++ = '%';
            *p++ = hex[*s >> 4];
            *p++ = hex[*s & 15];
        } else {
            *p++ = *s;
        }
    if (name)
        *uri = t3d_sprintf(a, "file:%s?immutable=1", name);
    return *uri ? 0 : -1;
}

static int open_db(struct t3d_manifest *m, int flags, struct t3d_err *err)
{
    struct t3d_arena a = {0};
    char *path = t3d_sprintf(&a, "%s/manifest.db", m->workspace), *uri = NULL;
    int mode = SQLITE_OPEN_NOMUTEX, r;

    if (flags & T3D_MANIFEST_READONLY)
        mode |= SQLITE_OPEN_READONLY;
    else
        mode |= SQLITE_OPEN_READWRITE | (flags & T3D_MANIFEST_CREATE ? SQLITE_OPEN_CREATE : 0);
    if (path && flags & T3D_MANIFEST_READONLY && as_it_is(&uri, path, m->workspace, &a) < 0)
        path = NULL;
    if (!path) {
        r = t3d_err_nomem(err, "the manifest");
    } else if (!(flags & T3D_MANIFEST_CREATE) && access(path, F_OK) < 0) {
        r = t3d_err_set(err, T3D_USAGE, "no-manifest",
                        "there is no '%s': run `t3d fetch` first, or name the workspace with -C",
                        path);
    } else {
        r = check_file_system(m->workspace, err);
        if (r == T3D_OK && sqlite3_open_v2(uri ? uri : path, &m->db,
                                           mode | (uri ? SQLITE_OPEN_URI : 0), NULL) != SQLITE_OK)
            r = m->db ? t3di_sqlite_err(m, "open tables", err) : t3d_err_nomem(err, path);
    }
    t3d_arena_free(&a);
    return r;
}

int t3d_manifest_open(struct t3d_manifest **out, const char *workspace, int flags,
                      struct t3d_err *err)
{
    struct t3d_manifest *m = calloc(1, sizeof *m);
    int r = T3D_OK;

    *out = NULL;
    if (!m || !(m->workspace = strdup(workspace && *workspace ? workspace : "."))) {
        free(m);
        return t3d_err_nomem(err, "the manifest");
    }
    m->next_num = -1;
    if (flags & T3D_MANIFEST_CREATE)
        r = t3d_make_dirs(m->workspace, err);
    if (r == T3D_OK)
        r = open_db(m, flags, err);
    if (r == T3D_OK)
        r = set_up(m, flags, err);
    if (r < 0) {
        t3d_manifest_close(m);
        return r;
    }
    *out = m;
    return T3D_OK;
}

void t3d_manifest_close(struct t3d_manifest *m)
{
    if (!m)
        return;
    if (m->db && m->run)
        (void)!t3d_run_end(m, NULL);
    for (int i = 0; i < T3DI_STATEMENTS; i++)
        sqlite3_finalize(m->statement[i].st);
    sqlite3_close(m->db);
    free(m->workspace);
    free(m);
}

const char *t3d_manifest_workspace(const struct t3d_manifest *m)
{
    return m->workspace;
}
