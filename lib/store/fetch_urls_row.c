/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of `t3d fetch urls`: what is asked for, and what is entered. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/progress.h"
#include "base/tool.h"
#include "base/walk.h"
#include "store/captions.h"
#include "store/fetch_urls_impl.h"

/* --- a row becomes a job
 * -------------------------------------------------------------------------- */

/* Decided without a transfer. */
static void decide(struct t3di_url_job *j, enum t3d_state_code code, const struct t3d_err *why)
{
    j->base.item.code = code;
    j->base.item.err = *why;
    j->base.item.stamp = "";
    j->class = T3D_HTTP_PERMANENT;
    j->needs_transfer = 0;
}

static int copy_captions(struct t3di_url_job *j, const struct t3d_url_row *row)
{
    struct t3d_object *o = &j->base.item.object;
    struct t3d_arena *a = &j->base.item.arena;

    if (!row->n_captions)
        return 0;
    o->caption = t3d_alloc(a, row->n_captions, sizeof *o->caption);
    for (size_t i = 0; o->caption && i < row->n_captions; i++) {
        char *s = t3d_strdup(a, row->caption[i]);

        if (!s)
            return -1;
        for (char *c = s; *c; c++) /* shards hold one caption a line */
            *c = (unsigned char)*c < 0x20 || *c == 0x7f ? ' ' : *c;
        o->caption[o->n_captions++] = s;
    }
    return o->caption ? 0 : -1;
}

static const char *copy(struct t3d_arena *a, const char *s, int *bad)
{
    char *c = s ? t3d_strdup(a, s) : NULL;

    *bad |= s && !c;
    return c;
}

static int hex(char c)
{
    return c >= '0' && c <= '9'                 ? c - '0'
           : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10
                                                : -1;
}

/* Is it an archive, and which member does the fragment name? j->url is then the address with that
 * name, plain. */
static int find_member(struct t3di_urls *s, struct t3di_url_job *j, const struct t3d_url_row *row)
{
    struct t3d_arena *a = &j->base.item.arena;
    const char *sharp = strchr(row->url, '#');
    char name[300], *text, *o, plain[2048];
    struct t3d_err why;

    j->ask = j->url;
    t3d_http_url_name(j->url, name, sizeof name);
    if (row->format)
        snprintf(name, sizeof name, "x.%.20s", row->format);
    j->is_archive = s->f->unpacker && t3d_archive_is(name);
    if (!j->is_archive || !sharp || !sharp[1])
        return 0;
    text = o = t3d_strdup(a, sharp + 1);
    if (!text)
        return -1;
    for (const char *c = text; *c; c++)
        if (*c == '%' && hex(c[1]) >= 0 && hex(c[2]) >= 0 && (hex(c[1]) || hex(c[2]))) {
            *o++ = (char)(16 * hex(c[1]) + hex(c[2]));
            c += 2;
        } else {
            *o++ = *c;
        }
    *o = 0;
    if (t3d_archive_name(plain, sizeof plain, text, &why) < 0) {
        t3d_err_prefix(&why, "'%.200s'", j->url);
        decide(j, T3D_STATE_FAIL, &why);
        return 0;
    }
    j->member = t3d_strdup(a, plain);
    j->url = t3d_sprintf(a, "%s#%s", j->ask, plain);
    return j->member && j->url ? 0 : -1;
}

static int copy_row(struct t3di_urls *s, struct t3di_url_job *j, const struct t3d_url_row *row)
{
    struct t3d_intake_item *in = &j->base.item;
    struct t3d_object *o = &in->object;
    int bad = copy_captions(j, row) < 0;
    char *clean = NULL;
    struct t3d_err why;

    j->size = row->size;
    j->about = row->size >= 0 ? row->size : row->about;
    j->sha256 = copy(&in->arena, row->sha256, &bad);
    j->uid = copy(&in->arena, row->uid, &bad);
    o->license = copy(&in->arena, row->license, &bad);
    o->source = s->conf->dataset ? s->conf->dataset : "urls";
    if (row->url && t3d_http_url(row->url, &clean, &why) == T3D_OK)
        j->url = copy(&in->arena, clean, &bad);
    else
        j->url = row->url ? copy(&in->arena, row->url, &bad)
                          : t3d_sprintf(&in->arena, "%s line %llu", s->conf->list,
                                        (unsigned long long)row->line);
    if (row->bad.code || !clean)
        decide(j, T3D_STATE_FAIL, row->bad.code ? &row->bad : &why);
    else
        j->needs_transfer = 1;
    free(clean);
    if (j->needs_transfer && find_member(s, j, row) < 0)
        bad = 1;
    o->path = in->file = j->url;
    if (j->uid && t3d_uid_valid(j->uid)) {
        snprintf(o->uid, sizeof o->uid, "%s", j->uid);
        in->given_uid = 1;
    }
    return bad || !j->url ? -1 : 0;
}

/* The ending under which it is stored: the list's, else that of the address. */
static void find_format(struct t3di_url_job *j, const char *format)
{
    struct t3d_object *o = &j->base.item.object;
    char name[300];
    struct t3d_err why;

    snprintf(name, sizeof name, "x.%.20s", format ? format : "");
    if (j->member)
        snprintf(name, sizeof name, "x.%.20s", t3d_path_ending(j->member));
    else if (!format || !t3d_ending_in(name, T3D_FETCH_FORMATS))
        t3d_http_url_name(j->ask ? j->ask : j->url, name, sizeof name);
    if (j->is_archive && !j->member)
        return;
    t3d_content_ending(name, o->ending);
    if (t3d_ending_in(name, T3D_FETCH_FORMATS) || !j->needs_transfer)
        return;
    t3d_err_set(&why, T3D_SKIP, "unknown-format",
                "'%.300s' has no ending of a 3D file: fetch takes " T3D_FETCH_FORMATS
                "; a column format of the list says which it is",
                j->url);
    decide(j, T3D_STATE_FAIL, &why);
}

static int is_allowed(const struct t3d_list *allowed, const char *license)
{
    if (!allowed->n)
        return 1;
    for (size_t i = 0; i < allowed->n && license; i++)
        if (strcasecmp(allowed->item[i], license) == 0)
            return 1;
    return 0;
}

/* Before anything is transferred. */
static void check_limits(struct t3di_urls *s, struct t3di_url_job *j)
{
    const struct t3d_fetch_urls *c = s->conf;
    const char *license = j->base.item.object.license;
    struct t3d_err why;

    license = license ? license : c->license;
    if (!is_allowed(c->licenses, license)) {
        t3d_err_set(&why, T3D_SKIP, "license", "'%.300s': licence '%.80s' is not among --licenses",
                    j->url, license ? license : "unknown");
        decide(j, T3D_STATE_REJECT, &why);
    } else if (j->size >= 0 && (uint64_t)j->size > c->max_bytes) {
        t3d_err_value(&why, T3D_SKIP, "too-large", (double)j->size,
                      "'%.300s' has %lld bytes, more than --max-size", j->url, (long long)j->size);
        decide(j, T3D_STATE_REJECT, &why);
    }
}

/* "early <sha256> <ending> <bytes> <attempts> <etag>": the content is in the store. */
static int recall_early(struct t3di_urls *s, struct t3di_url_job *j)
{
    struct t3d_object *o = &j->base.item.object;
    unsigned long long bytes;
    char sha256[65], ending[16], *path;
    struct stat st;
    int at = 0;

    if (sscanf(j->base.stamp, "early %64[0-9a-f] %15[a-z0-9] %llu %u %n", sha256, ending, &bytes,
               &j->attempts, &at) != 4 ||
        strlen(sha256) != 64)
        return 0;
    path = t3d_content_path(&j->base.item.arena, s->f->common->workspace, sha256, ending);
    if (!path || stat(path, &st) < 0 || (unsigned long long)st.st_size != bytes ||
        (j->sha256 && strcasecmp(j->sha256, sha256) != 0))
        return 0;
    snprintf(o->file_sha256, sizeof o->file_sha256, "%s", sha256);
    snprintf(o->ending, sizeof o->ending, "%s", ending);
    snprintf(j->etag, sizeof j->etag, "%.*s", (int)strcspn(j->base.stamp + at, "\n"),
             j->base.stamp + at);
    o->bytes = bytes;
    j->status = 200;
    return 1;
}

/* 1 = the content that the address gave is in the store, and is what the list wants. */
static int is_stored(struct t3di_urls *s, struct t3di_url_job *j)
{
    const char *line = strchr(j->base.stamp, '\n'), *file;
    char ending[16];

    if (j->base.known < 0 || !line || sscanf(line, "\n%15[a-z0-9]", ending) != 1 ||
        !t3d_stamp_is_stored(j->base.stamp, s->f->common->workspace, ending))
        return 0;
    file = strchr(line + 1, '\n');
    file = file && strlen(file) > 64 ? file + 1 : j->base.stamp;
    return !j->sha256 || j->member || strncasecmp(file, j->sha256, 64) == 0;
}

/* What an earlier run knows of the address. */
static int look_up(struct t3di_urls *s, struct t3di_url_job *j, struct t3d_err *err)
{
    int only_failed = strcmp(s->conf->retry, "failed") == 0,
        r = t3d_fetch_recall(s->f, &j->base, err);
    struct t3d_state old = {.code = T3D_STATE_NONE};
    struct t3d_err why;

    if (r < 0 || !j->needs_transfer)
        return r;
    if (j->is_archive && !j->member && !s->captions && !s->conf->license &&
        !j->base.item.object.n_captions && t3di_url_archive_holds(s, j->base.stamp, &j->n_known)) {
        j->base.unchanged = 1;
        j->needs_transfer = 0;
        return T3D_OK;
    }
    if (is_stored(s, j) || recall_early(s, j)) {
        j->base.unchanged = j->base.known >= 0;
        j->early = j->has_content = !j->base.unchanged;
        j->needs_transfer = 0;
        return T3D_OK;
    }
    if (j->base.known >= 0 && (only_failed || strcmp(j->base.stamp, T3DI_PERMANENT) == 0))
        r = t3d_manifest_find_state(s->f->m, "fetch", j->base.known, &old, err);
    if (r < 0)
        return r;
    if (only_failed && old.code != T3D_STATE_FAIL && old.code != T3D_STATE_MISSING) {
        j->base.foreign = 1; /* not asked for */
        j->needs_transfer = 0;
    } else if (!only_failed && strcmp(j->base.stamp, T3DI_PERMANENT) == 0 &&
               (old.code == T3D_STATE_FAIL || old.code == T3D_STATE_MISSING)) {
        t3d_err_set(&why, T3D_SKIP, old.reason, "%s", old.message);
        decide(j, old.code, &why);
        j->base.item.stamp = T3DI_PERMANENT;
        j->recalled = 1;
    }
    return T3D_OK;
}

static int in_shard(const struct t3di_urls *s, const struct t3d_url_row *row)
{
    return t3d_fetch_in_shard(s->f, row->uid ? row->uid : row->url ? row->url : "");
}

int t3di_url_job_next(struct t3di_urls *s, struct t3di_url_job **out, struct t3d_err *err)
{
    struct t3d_url_row row;
    struct t3di_url_job *j;
    const struct t3d_fetch_rows *rows = s->conf->rows;
    int r = rows ? rows->next(rows->ctx, &row, err) : t3d_url_list_next(s->list, &row, err);

    *out = NULL;
    if (r != T3D_OK || !in_shard(s, &row))
        return r;
    j = t3d_fetch_job_new(sizeof *j);
    if (!j || copy_row(s, j, &row) < 0) {
        if (j)
            t3d_fetch_drop(s, j);
        return t3d_err_nomem(err, "a row of the list");
    }
    find_format(j, row.format);
    if (j->needs_transfer)
        check_limits(s, j);
    r = look_up(s, j, err);
    if (r < 0) {
        t3d_fetch_drop(s, j);
        return r;
    }
    if (j->needs_transfer && j->member) { /* the worker asks for its parts */
        j->needs_transfer = 0;
        j->has_content = 1;
    }
    j->index = s->next_index++;
    *out = j;
    return T3D_OK;
}

/* --- a job goes into the manifest
 * ----------------------------------------------------------------- */

static void count_reason(struct t3di_urls *s, const char *reason)
{
    size_t i;

    for (i = 0; i < s->n_reasons && strcmp(s->reason[i].text, reason) != 0; i++)
        ;
    if (i == T3DI_REASONS) /* the last one stands for the others */
        i--;
    else if (i == s->n_reasons)
        snprintf(s->reason[s->n_reasons++].text, sizeof s->reason[i].text, "%s", reason);
    s->reason[i].n++;
}

static void count(struct t3di_urls *s, const struct t3di_url_job *j)
{
    if (j->base.unchanged) {
        s->unchanged++;
        return;
    }
    s->ok += j->base.item.code == T3D_STATE_OK;
    s->rejected += j->base.item.code == T3D_STATE_REJECT;
    s->failed += j->base.item.code == T3D_STATE_FAIL || j->base.item.code == T3D_STATE_MISSING;
    count_reason(s, j->base.item.code == T3D_STATE_OK ? "success" : j->base.item.err.reason);
}

/* What --captions and the options say; the row's own captions and licence are there already. */
static int describe(struct t3di_urls *s, struct t3di_url_job *j, const char **uid,
                    struct t3d_err *err)
{
    struct t3d_intake_item *in = &j->base.item;
    struct t3d_object *o = &in->object;
    char name[300], key[T3D_UID_SIZE];
    struct t3d_caption_query q = {
        .below = name, .absolute = j->url, .sha256 = o->file_sha256, .uid = key};
    int r = T3D_OK, changed;

    *uid = NULL;
    snprintf(key, sizeof key, "%s", o->uid);
    if (!key[0] && o->content[0])
        t3d_object_key(o, key);
    t3d_http_url_name(j->url, name, sizeof name);
    if (s->captions)
        r = t3d_captions_describe(s->captions, &q, o, uid, &changed, &in->arena, err);
    if (!o->license && s->conf->license) {
        o->license = s->conf->license;
        in->weak_license = 1;
    }
    return r;
}

/* The uid of an address that was here before with this content stays; else the list may give one.
 */
static int choose_uid(struct t3di_urls *s, struct t3di_url_job *j, const char *uid,
                      struct t3d_err *err)
{
    struct t3d_intake_item *in = &j->base.item;
    struct t3d_object *o = &in->object, old;
    int r = j->base.known >= 0 && !in->given_uid
                ? t3d_seen_object(s->f->m, j->base.known, &old, &in->arena, err)
                : T3D_END;

    if (r < 0)
        return r;
    if (r == T3D_OK && strcmp(old.content, o->content) == 0)
        uid = t3d_strdup(&in->arena, old.uid);
    if (uid && !in->given_uid) {
        snprintf(o->uid, sizeof o->uid, "%s", uid);
        in->given_uid = 1;
    }
    return T3D_OK;
}

static void describe_transfer(struct t3di_url_job *j)
{
    cJSON *o = cJSON_CreateObject();

    t3d_json_set_str(o, "class", t3d_http_class_name(j->class));
    if (j->status)
        t3d_json_set_num(o, "http", j->status);
    t3d_json_set_num(o, "attempts", j->attempts);
    if (*j->etag)
        t3d_json_set_str(o, "etag", j->etag);
    j->base.item.measures = o;
}

/* Known content: what the list says of it now, when it says anything. */
static int enter_unchanged(struct t3di_urls *s, struct t3di_url_job *j, struct t3d_err *err)
{
    struct t3d_intake_item *in = &j->base.item;
    struct t3d_object row = in->object;
    const char *uid;
    int r = T3D_OK;

    if (!row.n_captions && !row.license && !s->captions && !s->conf->license)
        return t3d_fetch_skip(s->f, &j->base);
    r = t3d_seen_object(s->f->m, j->base.known, &in->object, &in->arena, err);
    if (r == T3D_OK) {
        in->object.path = row.path;
        in->object.caption = row.caption;
        in->object.n_captions = row.n_captions;
        in->object.license = row.license;
        r = describe(s, j, &uid, err);
    }
    if (r != T3D_OK) {
        t3d_fetch_drop(s, j);
        return r < 0 ? r : T3D_OK;
    }
    in->given_uid = 1; /* it keeps the one it has */
    in->code = T3D_STATE_OK;
    in->stamp = j->base.stamp;
    return t3d_fetch_hand_over(s->f, &j->base, err);
}

/* One of the objects of an archive, as if it had come by its own row. */
static int enter_object(struct t3di_urls *s, const struct t3di_url_job *j,
                        struct t3d_fetch_job *sub, struct t3d_err *err)
{
    struct t3di_url_job *one = (struct t3di_url_job *)sub;
    int r = T3D_OK, ok = sub->item.code == T3D_STATE_OK;
    const char *uid;

    one->class = ok ? j->class : T3D_HTTP_PERMANENT;
    one->status = j->status;
    one->attempts = j->attempts;
    snprintf(one->etag, sizeof one->etag, "%s", j->etag);
    count(s, one);
    r = describe(s, one, &uid, err);
    if (r == T3D_OK && ok)
        r = choose_uid(s, one, uid, err);
    if (r < 0) {
        t3d_fetch_drop(s, sub);
        return r;
    }
    describe_transfer(one);
    return t3d_fetch_hand_over(s->f, sub, err);
}

static int enter_archive(struct t3di_urls *s, struct t3di_url_job *j, struct t3d_err *err)
{
    int r = T3D_OK;

    for (uint64_t i = 0; i < j->n_known; i++)
        t3d_intake_skip(s->f->intake);
    s->unchanged += j->n_known;
    if (!j->base.unchanged)
        r = t3di_url_archive_done(s, j, err);
    for (size_t i = 0; i < j->n_objects && r == T3D_OK; i++) {
        struct t3d_fetch_job *sub = j->object[i];

        j->object[i] = NULL;
        r = enter_object(s, j, sub, err);
    }
    t3di_url_job_free(j);
    return r;
}

int t3di_url_job_enter(struct t3di_urls *s, struct t3di_url_job *j, struct t3d_err *err)
{
    const char *uid;
    int r;

    if (j->base.foreign) {
        t3d_fetch_drop(s, j);
        return T3D_OK;
    }
    if (j->is_archive && !j->member && (j->base.unchanged || j->base.item.code == T3D_STATE_OK))
        return enter_archive(s, j, err);
    count(s, j);
    if (j->base.unchanged)
        return enter_unchanged(s, j, err);
    r = describe(s, j, &uid, err);
    if (r == T3D_OK && j->base.item.code == T3D_STATE_OK)
        r = choose_uid(s, j, uid, err);
    if (r < 0) {
        t3d_fetch_drop(s, j);
        return r;
    }
    if (!j->recalled)
        describe_transfer(j);
    return t3d_fetch_hand_over(s->f, &j->base, err);
}

/* --- --dry-run
 * ------------------------------------------------------------------------------------ */

static void print_preview(const struct t3di_urls *s, uint64_t rows, uint64_t requests,
                          uint64_t unknown, double bytes)
{
    struct statvfs v;
    double mean = requests > unknown ? bytes / (double)(requests - unknown) : 0;
    double all = bytes + mean * (double)unknown;

    t3d_info("dry run: %llu rows, %llu unchanged, %llu rejected, %llu unusable, %llu requests",
             (unsigned long long)rows, (unsigned long long)s->unchanged,
             (unsigned long long)s->rejected, (unsigned long long)s->failed,
             (unsigned long long)requests);
    t3d_info("%.1f MB to fetch%s (%llu of unknown size)", all / 1e6,
             unknown ? ", with the mean size for those that the list does not say" : "",
             (unsigned long long)unknown);
    if (statvfs(s->f->common->workspace, &v) == 0 || statvfs(".", &v) == 0)
        t3d_info("%.1f MB of disk are free%s", (double)v.f_bavail * (double)v.f_frsize / 1e6,
                 all > (double)v.f_bavail * (double)v.f_frsize ? ": NOT ENOUGH" : "");
    t3d_info("at least %.2f h at 100 Mbit/s, %.2f h at 1 Gbit/s, %.2f h at 10 requests a second",
             all / 12.5e6 / 3600, all / 125e6 / 3600, (double)requests / 10 / 3600);
}

int t3di_urls_preview(struct t3di_urls *s, struct t3d_err *err)
{
    uint64_t rows = 0, requests = 0, unknown = 0;
    struct t3di_url_job *j;
    double bytes = 0;
    int r;

    while ((r = t3di_url_job_next(s, &j, err)) >= 0 && r != T3D_END && !t3d_stop_requested()) {
        if (!j)
            continue;
        rows++;
        if (j->needs_transfer) {
            requests++;
            unknown += j->about < 0 || (j->about == 0 && j->size < 0);
            bytes += j->about > 0 ? (double)j->about : 0;
        } else if (!j->base.foreign && !j->early) {
            count(s, j);
        }
        t3d_fetch_drop(s, j);
    }
    if (r < 0)
        return r;
    print_preview(s, rows, requests, unknown, bytes);
    return T3D_EXIT_OK;
}
