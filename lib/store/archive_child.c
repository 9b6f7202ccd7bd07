/* SPDX-License-Identifier: Apache-2.0 */
/* The child's side of store/archive.h. libarchive is loaded by the zygote, so that no program
 * carries it (it brings libxml2 and ICU along): it is code that only reads hostile bytes, and only
 * where no file can be opened. */
#include <archive.h>
#include <archive_entry.h>
#include <dlfcn.h>
#include <errno.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/walk.h"
#include "store/archive_impl.h"

enum { BLOCK = 256 << 10, RATIO_FROM = 64 << 20 };

/* Files that may be an object or belong to one; everything else stays where it is. */
static const char taken[] =
    "glb gltf obj ply stl off fbx dae 3ds 3mf bin mtl png jpg jpeg webp ktx2 basis dds tga bmp "
    "gif tif tiff exr hdr";

/* libarchive's functions by their types in its header. */
#define FUNCTIONS(F)                                                                               \
    F(archive_read_new)                                                                            \
    F(archive_read_free)                                                                           \
    F(archive_read_support_format_zip_seekable)                                                    \
    F(archive_read_support_format_7zip)                                                            \
    F(archive_read_support_format_tar)                                                             \
    F(archive_read_support_filter_gzip)                                                            \
    F(archive_read_support_filter_bzip2)                                                           \
    F(archive_read_support_filter_xz)                                                              \
    F(archive_read_support_filter_zstd)                                                            \
    F(archive_read_set_read_callback)                                                              \
    F(archive_read_set_seek_callback)                                                              \
    F(archive_read_set_skip_callback)                                                              \
    F(archive_read_set_callback_data)                                                              \
    F(archive_read_open1)                                                                          \
    F(archive_read_next_header)                                                                    \
    F(archive_read_data_block)                                                                     \
    F(archive_read_data_skip)                                                                      \
    F(archive_filter_count)                                                                        \
    F(archive_errno)                                                                               \
    F(archive_error_string)                                                                        \
    F(archive_entry_pathname)                                                                      \
    F(archive_entry_pathname_utf8)                                                                 \
    F(archive_entry_hardlink)                                                                      \
    F(archive_entry_filetype)                                                                      \
    F(archive_entry_is_encrypted)                                                                  \
    F(archive_entry_size)

struct library {
#define F(name) __typeof__(&(name)) name;
    FUNCTIONS(F)
#undef F
};

/* An archive inside, found in the spool. */
struct inner {
    struct inner *next;
    uint64_t offset, size;
    unsigned depth;
    char name[T3DI_ARCHIVE_NAME + 1]; /* with a final '/' */
};

struct unpack {
    const struct library *l;
    struct t3d_sandbox_child *c;
    struct t3di_unpack q;
    int spool;
    uint64_t end;     /* of what is in the spool */
    uint64_t walked;  /* bytes that had to be unpacked and were not taken */
    uint64_t members; /* met so far */
    uint64_t hidden, other;
    struct inner *inner;
};

/* Where libarchive reads. */
struct reader {
    int fd;
    uint64_t base, size, at;
    unsigned char block[BLOCK];
};

void t3di_unpack_prepare(void *ctx, int slot)
{
    struct t3di_unpack_library *lib = ctx;
    static struct library l;
    void *h = dlopen("libarchive.so.13", RTLD_NOW | RTLD_LOCAL);
    int missing = 0;

    (void)slot;
    /* Names are UTF-8, whatever the user's language is. */
    setlocale(LC_CTYPE, "C.UTF-8");
    /* Times of members play no part, but libarchive converts them: not by a file of time zones. */
    setenv("TZ", "UTC0", 1);
    tzset();
    if (!h) {
        snprintf(lib->why, sizeof lib->why, "%s", dlerror());
        return;
    }
#define F(name)                                                                                    \
    l.name = (__typeof__(l.name))dlsym(h, #name);                                                  \
    missing |= !l.name;
    FUNCTIONS(F)
#undef F
    if (missing)
        snprintf(lib->why, sizeof lib->why, "libarchive.so.13 lacks functions of release 3.3");
    else
        lib->functions = &l;
}

/* --- what is said to the caller
 * ------------------------------------------------------------------- */

static void say(struct unpack *u, const struct t3di_note *note, const char *name)
{
    char msg[sizeof *note + T3DI_ARCHIVE_NAME];
    size_t n = strnlen(name, T3DI_ARCHIVE_NAME - 1);

    memcpy(msg, note, sizeof *note);
    memcpy(msg + sizeof *note, name, n);
    msg[sizeof *note + n] = 0;
    if (t3d_sandbox_child_send(u->c, msg, sizeof *note + n + 1) < 0)
        _exit(1);
}

static void say_error(struct unpack *u, enum t3di_note_kind kind, const char *name,
                      const struct t3d_err *why)
{
    struct t3di_note note = {.kind = kind, .value = why->value};

    snprintf(note.reason, sizeof note.reason, "%.31s", why->reason);
    snprintf(note.msg, sizeof note.msg, "%.319s", why->msg);
    say(u, &note, name);
}

static void refuse(struct unpack *u, const char *name, const struct t3d_err *why)
{
    say_error(u, T3DI_REFUSED, name, why);
}

/* --- libarchive's input
 * --------------------------------------------------------------------------- */

static la_ssize_t on_read(struct archive *a, void *ctx, const void **data)
{
    struct reader *r = ctx;
    size_t n = (size_t)T3D_MIN(r->size - r->at, (uint64_t)BLOCK);
    ssize_t k;

    (void)a;
    do
        k = n ? pread(r->fd, r->block, n, (off_t)(r->base + r->at)) : 0;
    while (k < 0 && errno == EINTR);
    *data = r->block;
    r->at += k > 0 ? (uint64_t)k : 0;
    return k;
}

static la_int64_t on_seek(struct archive *a, void *ctx, la_int64_t offset, int whence)
{
    struct reader *r = ctx;
    la_int64_t from = whence == SEEK_SET   ? 0
                      : whence == SEEK_CUR ? (la_int64_t)r->at
                                           : (la_int64_t)r->size;
    la_int64_t to;

    (void)a;
    if (__builtin_add_overflow(from, offset, &to) || to < 0 || (uint64_t)to > r->size)
        return ARCHIVE_FATAL;
    r->at = (uint64_t)to;
    return to;
}

static la_int64_t on_skip(struct archive *a, void *ctx, la_int64_t n)
{
    struct reader *r = ctx;
    la_int64_t k = (la_int64_t)T3D_MIN((uint64_t)(n > 0 ? n : 0), r->size - r->at);

    (void)a;
    r->at += (uint64_t)k;
    return k;
}

/* --- one member
 * ----------------------------------------------------------------------------------- */

static int broken(struct unpack *u, struct archive *a, struct t3d_err *err)
{
    const char *text = u->l->archive_error_string(a);
    char plain[200];
    size_t n = 0;

    if (u->l->archive_errno(a) == ENOMEM)
        _exit(T3D_SANDBOX_NO_MEMORY);
    for (text = text ? text : "it cannot be read"; *text && n < sizeof plain - 1; text++)
        plain[n++] =
            (char)((unsigned char)*text < 0x20 || (unsigned char)*text > 0x7e ? '?' : *text);
    plain[n] = 0;
    if (strcasestr(plain, "encrypt") || strcasestr(plain, "passphrase"))
        return t3d_err_set(err, T3D_SKIP, "encrypted-archive", "it is encrypted (%s)", plain);
    if (strcasestr(plain, "truncat"))
        return t3d_err_set(err, T3D_SKIP, "truncated-archive", "it is cut short (%s)", plain);
    return t3d_err_set(err, T3D_SKIP, "bad-archive", "%s", plain);
}

/* The limits on the whole, with `more` bytes to come. */
static int check_total(const struct unpack *u, uint64_t more, struct t3d_err *err)
{
    uint64_t total;
    double ratio;

    if (__builtin_add_overflow(u->end, more, &total) ||
        __builtin_add_overflow(total, u->walked, &total) || total > u->q.limits.bytes)
        return t3d_err_value(err, T3D_SKIP, "archive-bomb", (double)u->end + (double)more,
                             "its members have more than %llu bytes",
                             (unsigned long long)u->q.limits.bytes);
    ratio = (double)total / (double)T3D_MAX(u->q.size, (uint64_t)1);
    if (total > RATIO_FROM && ratio > u->q.limits.ratio)
        return t3d_err_value(err, T3D_SKIP, "archive-bomb", ratio,
                             "it unpacks to more than %g times its size", u->q.limits.ratio);
    return T3D_OK;
}

static int write_block(struct unpack *u, const void *data, size_t n, uint64_t at,
                       struct t3d_err *err)
{
    for (size_t done = 0; done < n;) {
        ssize_t k = pwrite(u->spool, (const char *)data + done, n - done, (off_t)(at + done));
        if (k < 0 && errno == EINTR)
            continue;
        if (k < 0)
            return t3d_err_sys(err, "cannot unpack into", "the workspace");
        done += (size_t)k;
    }
    return T3D_OK;
}

/* The member's data at the end of the spool. T3D_END: it is too large, and was left. */
static int spool(struct unpack *u, struct archive *a, uint64_t declared, uint64_t *size,
                 struct t3d_err *err)
{
    uint64_t cap = u->q.limits.member_bytes, end = 0;
    const void *data;
    la_int64_t at;
    size_t n;
    int r;

    /* A warning is a checksum or a size that is not what the headers say. */
    while ((r = u->l->archive_read_data_block(a, &data, &n, &at)) == ARCHIVE_OK) {
        /* Sparse members say where each piece lies: that may be anywhere. */
        if (at < 0 || (uint64_t)at < end || (uint64_t)at > cap || n > cap - (uint64_t)at)
            return T3D_END;
        end = (uint64_t)at + n;
        r = check_total(u, end, err);
        if (r == T3D_OK && n)
            r = write_block(u, data, n, u->end + (uint64_t)at, err);
        if (r < 0)
            return r;
    }
    if (r != ARCHIVE_EOF)
        return broken(u, a, err);
    *size = T3D_MAX(end, declared);
    if ((r = check_total(u, *size, err)) < 0)
        return r;
    if (*size > end && ftruncate(u->spool, (off_t)(u->end + *size)) < 0)
        return t3d_err_sys(err, "cannot unpack into", "the workspace");
    return T3D_OK;
}

static int too_large(struct unpack *u, const char *name, uint64_t size)
{
    struct t3d_err why;

    t3d_err_value(&why, T3D_SKIP, "too-large", (double)size,
                  "it has more than the %llu bytes that a member may have",
                  (unsigned long long)u->q.limits.member_bytes);
    refuse(u, name, &why);
    return T3D_OK;
}

static int is_hidden(const char *name)
{
    if (name[0] == '.' || strstr(name, "/."))
        return 1;
    return strncmp(name, "__MACOSX/", 9) == 0 || strstr(name, "/__MACOSX/") != NULL;
}

static int add_inner(struct unpack *u, const char *name, uint64_t size, unsigned depth,
                     struct t3d_err *err)
{
    struct inner *i;

    if (depth >= u->q.limits.depth)
        return t3d_err_value(err, T3D_SKIP, "nested-too-deep", depth + 1,
                             "'%.100s' in it is an archive at depth %u, more than %u", name,
                             depth + 1, u->q.limits.depth);
    i = malloc(sizeof *i);
    if (!i)
        _exit(T3D_SANDBOX_NO_MEMORY);
    *i = (struct inner){u->inner, u->end, size, depth + 1, ""};
    snprintf(i->name, sizeof i->name, "%s/", name);
    u->inner = i;
    return T3D_OK;
}

static int take(struct unpack *u, struct archive *a, const char *name, uint64_t declared,
                unsigned depth, struct t3d_err *err)
{
    struct t3di_note note = {.kind = T3DI_MEMBER};
    uint64_t size = 0;
    int r;

    if (declared > u->q.limits.member_bytes)
        return too_large(u, name, declared);
    r = spool(u, a, declared, &size, err);
    if (r == T3D_END)
        return too_large(u, name, u->q.limits.member_bytes);
    if (r < 0)
        return r;
    if (t3d_archive_is(name)) {
        r = add_inner(u, name, size, depth, err);
    } else {
        note.offset = u->end;
        note.size = size;
        say(u, &note, name);
    }
    u->end += size;
    return r;
}

/* Not taken. In a compressed tar it has to be unpacked all the same. */
static int pass_over(struct unpack *u, struct archive *a, uint64_t declared, struct t3d_err *err)
{
    int r;

    if (u->l->archive_filter_count(a) > 1) {
        if (__builtin_add_overflow(u->walked, declared, &u->walked))
            u->walked = UINT64_MAX;
        r = check_total(u, 0, err);
        if (r < 0)
            return r;
    }
    r = u->l->archive_read_data_skip(a);
    return r < ARCHIVE_WARN ? broken(u, a, err) : T3D_OK;
}

/* The name below `prefix`; a refusal is said. 0 = go on without it. */
static int name_of(struct unpack *u, struct archive_entry *e, const char *prefix,
                   char name[T3DI_ARCHIVE_NAME])
{
    const char *raw = u->l->archive_entry_pathname(e);
    char full[2 * T3DI_ARCHIVE_NAME];
    struct t3d_err why;
    int n;

    if (!raw)
        raw = u->l->archive_entry_pathname_utf8(e);
    raw = raw ? raw : "";
    n = snprintf(full, sizeof full, "%s%s", prefix, raw);
    /* Behind a prefix an absolute name would look relative. */
    if (t3d_archive_name(name, T3DI_ARCHIVE_NAME, raw, &why) == T3D_OK && n < (int)sizeof full &&
        t3d_archive_name(name, T3DI_ARCHIVE_NAME, full, &why) == T3D_OK)
        return 1;
    full[sizeof full - 1] = 0;
    refuse(u, full, &why);
    return 0;
}

static int member(struct unpack *u, struct archive *a, struct archive_entry *e, const char *prefix,
                  unsigned depth, struct t3d_err *err)
{
    la_int64_t size = u->l->archive_entry_size(e);
    uint64_t declared = size > 0 ? (uint64_t)size : 0;
    char name[T3DI_ARCHIVE_NAME];
    struct t3d_err why;
    int is_link = u->l->archive_entry_hardlink(e) != NULL;

    if (++u->members > u->q.limits.members)
        return t3d_err_value(err, T3D_SKIP, "archive-bomb", (double)u->members,
                             "it has more than %llu members",
                             (unsigned long long)u->q.limits.members);
    if (u->l->archive_entry_filetype(e) == AE_IFDIR && !is_link)
        return T3D_OK;
    if (u->l->archive_entry_is_encrypted(e))
        return t3d_err_set(err, T3D_SKIP, "encrypted-archive", "it is encrypted");
    if (!name_of(u, e, prefix, name))
        return pass_over(u, a, declared, err);
    if (is_link || u->l->archive_entry_filetype(e) != AE_IFREG) {
        t3d_err_set(&why, T3D_SKIP, "not-a-file", "it is a link or a device, not a regular file");
        refuse(u, name, &why);
        return pass_over(u, a, declared, err);
    }
    if (is_hidden(name) || !(t3d_ending_in(name, taken) || t3d_archive_is(name))) {
        u->hidden += is_hidden(name) != 0;
        u->other += !is_hidden(name);
        return pass_over(u, a, declared, err);
    }
    return take(u, a, name, declared, depth, err);
}

/* --- one archive
 * ---------------------------------------------------------------------------------- */

static struct archive *begin(struct unpack *u, struct reader *r)
{
    const struct library *l = u->l;
    struct archive *a = l->archive_read_new();

    if (!a)
        _exit(T3D_SANDBOX_NO_MEMORY);
    /* Not all of them: programs as filters, mtree (which looks at the local disk) and rarely used
     * parsers stay out. Of a zip the central directory counts, never a scan from the front. */
    l->archive_read_support_format_zip_seekable(a);
    l->archive_read_support_format_7zip(a);
    l->archive_read_support_format_tar(a);
    l->archive_read_support_filter_gzip(a);
    l->archive_read_support_filter_bzip2(a);
    l->archive_read_support_filter_xz(a);
    l->archive_read_support_filter_zstd(a);
    l->archive_read_set_read_callback(a, on_read);
    l->archive_read_set_seek_callback(a, on_seek);
    l->archive_read_set_skip_callback(a, on_skip);
    l->archive_read_set_callback_data(a, r);
    return a;
}

static int unpack(struct unpack *u, int fd, uint64_t base, uint64_t size, const char *prefix,
                  unsigned depth, struct t3d_err *err)
{
    struct reader *reader = malloc(sizeof *reader);
    struct archive_entry *e;
    struct archive *a;
    int r = T3D_OK, k;

    if (!reader)
        _exit(T3D_SANDBOX_NO_MEMORY);
    reader->fd = fd;
    reader->base = base;
    reader->size = size;
    reader->at = 0;
    a = begin(u, reader);
    k = u->l->archive_read_open1(a);
    if (k < ARCHIVE_WARN)
        r = broken(u, a, err);
    while (r == T3D_OK && (k = u->l->archive_read_next_header(a, &e)) != ARCHIVE_EOF)
        r = k < ARCHIVE_WARN ? broken(u, a, err) : member(u, a, e, prefix, depth, err);
    u->l->archive_read_free(a);
    free(reader);
    return r;
}

static int unpack_all(struct unpack *u, int fd, struct t3d_err *err)
{
    int r = unpack(u, fd, 0, u->q.size, "", 0, err);

    while (r == T3D_OK && u->inner) {
        struct inner *i = u->inner;

        u->inner = i->next;
        r = unpack(u, u->spool, i->offset, i->size, i->name, i->depth, err);
        if (r == T3D_SKIP)
            t3d_err_prefix(err, "'%.100s' in it", i->name);
        free(i);
    }
    return r;
}

int t3di_unpack_main(struct t3d_sandbox_child *c, void *ctx)
{
    const struct t3di_unpack_library *lib = ctx;
    struct unpack u = {.l = lib->functions, .c = c};
    struct t3di_note counts = {.kind = T3DI_COUNTS};
    struct t3d_err err = {.code = T3D_OK, .value = NAN};
    int fds[T3D_SANDBOX_FDS], r;

    if (t3d_sandbox_child_receive(c, &u.q, sizeof u.q, fds) != (long)sizeof u.q)
        return 1;
    u.spool = fds[1];
    if (!u.l)
        r = t3d_err_set(&err, T3D_SKIP, "no-library", "libarchive cannot be loaded (%s)", lib->why);
    else
        r = unpack_all(&u, fds[0], &err);
    counts.offset = u.hidden;
    counts.size = u.other;
    if (r == T3D_OK)
        say(&u, &counts, "");
    else
        say_error(&u, T3DI_FAILED, "", &err);
    /* A hold on the spool must not outlive the archive. */
    t3d_sandbox_child_retire(c);
    return 0;
}
