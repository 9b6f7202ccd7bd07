/* SPDX-License-Identifier: Apache-2.0 */
#include "store/schema_impl.h"

/* Version 1. Rows are narrow: 10 million objects have to fit beside the objects themselves. The
 * index on content is over 8 of its 32 bytes, which halves the file's random writes; equality is
 * checked on the whole. WITHOUT ROWID where the row is shorter than a twentieth of a page and has
 * no other index to carry (sqlite.org/withoutrowid.html). */
static const char version_1[] =
    "CREATE TABLE object(num INTEGER PRIMARY KEY, uid TEXT NOT NULL, content BLOB, file BLOB,"
    " ending TEXT NOT NULL, bytes INTEGER NOT NULL, license TEXT, split TEXT, split_given INTEGER,"
    " \"group\" TEXT) STRICT;"
    "CREATE UNIQUE INDEX object_uid ON object(uid);"
    "CREATE INDEX object_content ON object(substr(content, 1, 8)) WHERE content IS NOT NULL;"
    "CREATE TABLE source(num INTEGER NOT NULL, i INTEGER NOT NULL, dataset TEXT NOT NULL,"
    " path TEXT NOT NULL, PRIMARY KEY(num, i)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE caption(num INTEGER NOT NULL, i INTEGER NOT NULL, text TEXT NOT NULL,"
    " PRIMARY KEY(num, i)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE stage(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;"
    "CREATE TABLE measure(num INTEGER NOT NULL, stage INTEGER NOT NULL, json TEXT NOT NULL,"
    " PRIMARY KEY(num, stage)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE stage_state(stage INTEGER NOT NULL, num INTEGER NOT NULL, state INTEGER NOT NULL,"
    " attempt INTEGER NOT NULL, key BLOB, reason TEXT, value REAL, message TEXT, owner INTEGER,"
    " PRIMARY KEY(stage, num)) STRICT, WITHOUT ROWID;"
    "CREATE INDEX stage_state_owner ON stage_state(owner) WHERE owner IS NOT NULL;"
    "CREATE TABLE run(id INTEGER PRIMARY KEY AUTOINCREMENT, tool TEXT NOT NULL, host TEXT NOT NULL,"
    " boot TEXT NOT NULL, space TEXT NOT NULL, pid INTEGER NOT NULL, start INTEGER NOT NULL,"
    " lease INTEGER NOT NULL, ended INTEGER NOT NULL) STRICT;"
    "CREATE TABLE shard(path TEXT PRIMARY KEY, objects INTEGER NOT NULL, bytes INTEGER NOT NULL,"
    " sha256 BLOB NOT NULL) STRICT, WITHOUT ROWID;"
    "CREATE TABLE result(run INTEGER NOT NULL, metric TEXT NOT NULL, num INTEGER NOT NULL,"
    " value REAL, PRIMARY KEY(run, metric, num)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE file(key BLOB PRIMARY KEY, num INTEGER NOT NULL, stamp TEXT NOT NULL) STRICT,"
    " WITHOUT ROWID;"
    "CREATE INDEX file_num ON file(num);"
    "CREATE VIEW state AS SELECT stage.name AS stage, object.uid AS uid, CASE WHEN owner IS NOT "
    "NULL"
    " THEN 'claimed' ELSE CASE state WHEN 1 THEN 'ok' WHEN 2 THEN 'reject' WHEN 3 THEN 'fail'"
    " WHEN 4 THEN 'missing' WHEN 5 THEN 'modified' ELSE 'none' END END AS state, reason, value,"
    " message, attempt FROM stage_state JOIN stage ON stage.id = stage_state.stage"
    " JOIN object USING (num);";

const char *const t3di_schema[] = {version_1};
const int t3di_schema_version = (int)(sizeof t3di_schema / sizeof t3di_schema[0]);
