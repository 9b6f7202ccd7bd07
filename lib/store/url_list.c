/* SPDX-License-Identifier: Apache-2.0 */
#include "store/url_list.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/hash.h"
#include "store/manifest.h"

enum { LINE = 1 << 20, COLUMNS = 64 };

enum format { UNKNOWN, NDJSON, TSV, PLAIN };
enum field { NONE, URL, SHA256, SIZE, CAPTION, LICENSE, UID, FORMAT };

struct t3d_url_list {
    int fd, regular, eof, skipping; /* skipping: inside a line that is too long */
    char *name, *buf;
    size_t start, end;
    uint64_t line;
    enum format format;
    enum field column[COLUMNS];
    cJSON *record;
};

static enum field field_of(const char *name, size_t n)
{
    static const struct {
        const char *name;
        enum field field;
    } known[] = {
        {"url", URL},          {"uri", URL},      {"address", URL},     {"sha256", SHA256},
        {"hash", SHA256},      {"size", SIZE},    {"bytes", SIZE},      {"caption", CAPTION},
        {"captions", CAPTION}, {"text", CAPTION}, {"license", LICENSE}, {"licence", LICENSE},
        {"uid", UID},          {"id", UID},       {"format", FORMAT},   {"filetype", FORMAT}};

    for (size_t i = 0; i < T3D_COUNT(known); i++)
        if (strlen(known[i].name) == n && strncasecmp(known[i].name, name, n) == 0)
            return known[i].field;
    return NONE;
}

int t3d_url_list_open(struct t3d_url_list **out, const char *path, struct t3d_err *err)
{
    struct t3d_url_list *l = calloc(1, sizeof *l);
    struct stat st;

    if (!l || !(l->buf = malloc(LINE + 1)) || !(l->name = strdup(path))) {
        t3d_url_list_close(l);
        return t3d_err_nomem(err, path);
    }
    l->fd = strcmp(path, "-") == 0 ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    if (l->fd < 0 || fstat(l->fd, &st) < 0 || S_ISDIR(st.st_mode)) {
        t3d_err_set(err, T3D_USAGE, "usage", "cannot read the list '%s': %s", path,
                    l->fd < 0 ? strerror(errno) : "it is a folder");
        t3d_url_list_close(l);
        return T3D_USAGE;
    }
    l->regular = S_ISREG(st.st_mode);
    *out = l;
    return T3D_OK;
}

void t3d_url_list_close(struct t3d_url_list *l)
{
    if (!l)
        return;
    if (l->fd > STDIN_FILENO)
        close(l->fd);
    cJSON_Delete(l->record);
    free(l->name);
    free(l->buf);
    free(l);
}

void t3d_url_list_wait(struct t3d_url_list *l, int timeout_ms)
{
    struct pollfd p = {.fd = l->fd, .events = POLLIN};

    poll(&p, 1, timeout_ms);
}

/* --- lines
 * ---------------------------------------------------------------------------------------- */

static int more(struct t3d_url_list *l, struct t3d_err *err)
{
    struct pollfd p = {.fd = l->fd, .events = POLLIN};
    ssize_t k;

    if (l->start) {
        memmove(l->buf, l->buf + l->start, l->end - l->start);
        l->end -= l->start;
        l->start = 0;
    }
    if (l->end == LINE) {
        l->skipping = 1;
        l->end = 0;
    }
    if (!l->regular && poll(&p, 1, 0) == 0)
        return T3D_RETRY;
    k = read(l->fd, l->buf + l->end, LINE - l->end);
    if (k < 0 && errno == EINTR)
        return T3D_RETRY;
    if (k < 0)
        return t3d_err_sys(err, "cannot read the list", l->name);
    l->eof = k == 0;
    l->end += (size_t)k;
    return T3D_OK;
}

/* The next line, without its end; *too_long: it was passed over. */
static int read_line(struct t3d_url_list *l, char **line, int *too_long, struct t3d_err *err)
{
    for (;;) {
        char *s = l->buf + l->start, *nl = memchr(s, '\n', l->end - l->start);
        int r;

        if (!nl && l->eof) {
            if (l->start == l->end && !l->skipping)
                return T3D_END;
            nl = l->buf + l->end;
        }
        if (nl) {
            l->start = (size_t)(nl - l->buf) + (nl < l->buf + l->end);
            *nl = 0;
            if (nl > s && nl[-1] == '\r')
                nl[-1] = 0;
            l->line++;
            *too_long = l->skipping;
            l->skipping = 0;
            *line = s;
            return T3D_OK;
        }
        r = more(l, err);
        if (r != T3D_OK)
            return r;
    }
}

/* --- rows
 * ----------------------------------------------------------------------------------------- */

static void bad(const struct t3d_url_list *l, struct t3d_url_row *row, const char *reason,
                const char *text, const char *value)
{
    if (!row->bad.code)
        t3d_err_set(&row->bad, T3D_SKIP, reason, "'%s' line %llu: %s%s%.100s%s", l->name,
                    (unsigned long long)l->line, text, *value ? " '" : "", value,
                    *value ? "'" : "");
}

static void set(const struct t3d_url_list *l, struct t3d_url_row *row, enum field f, const char *s)
{
    unsigned char md[T3D_SHA256_BYTES];
    char *end;

    if (!*s)
        return;
    switch (f) {
    case URL:
        row->url = s;
        break;
    case SHA256:
        row->sha256 = s;
        if (t3d_unhex(s, sizeof md, md) < 0)
            bad(l, row, "bad-sha256", "the SHA-256 is not 64 hexadecimal digits:", s);
        break;
    case SIZE:
        errno = 0;
        row->size = strtoll(s, &end, 10);
        if (*end || errno || *s < '0' || *s > '9')
            bad(l, row, "bad-size", "the size is not a number of bytes:", s);
        break;
    case CAPTION:
        if (row->n_captions < T3D_URL_CAPTIONS)
            row->caption[row->n_captions++] = s;
        break;
    case LICENSE:
        row->license = s;
        break;
    case UID:
        row->uid = s;
        if (!t3d_uid_valid(s))
            bad(l, row, "bad-uid", "a uid is 1 to 128 of A-Z a-z 0-9 . _ -, not", s);
        break;
    case FORMAT:
        row->format = s;
        break;
    default:
        break;
    }
}

static void read_member(const struct t3d_url_list *l, struct t3d_url_row *row, const cJSON *m)
{
    enum field f = field_of(m->string, strlen(m->string));
    const cJSON *one;

    if (f == NONE || cJSON_IsNull(m))
        return;
    if (cJSON_IsString(m)) {
        set(l, row, f, m->valuestring);
    } else if (f == SIZE && cJSON_IsNumber(m) && m->valuedouble >= 0 && m->valuedouble <= 0x1p53) {
        row->size = (int64_t)m->valuedouble;
    } else if (f == CAPTION && cJSON_IsArray(m)) {
        cJSON_ArrayForEach (one, m)
            if (cJSON_IsString(one))
                set(l, row, f, one->valuestring);
    } else {
        bad(l, row, "bad-row", "a member has a value of the wrong type:", m->string);
    }
}

static void read_json(struct t3d_url_list *l, struct t3d_url_row *row, const char *line)
{
    const cJSON *m;

    cJSON_Delete(l->record);
    l->record = cJSON_Parse(line);
    if (!cJSON_IsObject(l->record)) {
        bad(l, row, "not-json", "is not a JSON object", "");
        return;
    }
    cJSON_ArrayForEach (m, l->record)
        read_member(l, row, m);
}

static void read_cells(struct t3d_url_list *l, struct t3d_url_row *row, char *line)
{
    for (int i = 0; line && i < COLUMNS; i++) {
        char *tab = strchr(line, '\t');

        if (tab)
            *tab++ = 0;
        if (l->column[i] != NONE)
            set(l, row, l->column[i], line);
        line = tab;
    }
}

/* A header line names the column url. */
static int read_header(struct t3d_url_list *l, const char *line)
{
    int has_url = 0;

    for (int i = 0; i < COLUMNS; i++) {
        size_t n = strcspn(line, "\t");

        l->column[i] = field_of(line, n);
        has_url |= l->column[i] == URL;
        if (!line[n])
            break;
        line += n + 1;
    }
    return has_url;
}

static int detect(struct t3d_url_list *l, const char *line, struct t3d_err *err)
{
    if (*line == '{') {
        l->format = NDJSON;
    } else if (read_header(l, line)) {
        l->format = TSV;
        return T3D_END; /* no row */
    } else if (strchr(line, '\t')) {
        return t3d_err_set(err, T3D_USAGE, "bad-list",
                           "'%s' has tabs, but its first line does not name the columns, one of "
                           "them url",
                           l->name);
    } else {
        l->format = PLAIN;
    }
    return T3D_OK;
}

int t3d_url_list_next(struct t3d_url_list *l, struct t3d_url_row *row, struct t3d_err *err)
{
    for (;;) {
        int too_long = 0, r;
        char *line;

        r = read_line(l, &line, &too_long, err);
        if (r != T3D_OK)
            return r;
        if (l->line == 1 && memcmp(line, "\xef\xbb\xbf", 3) == 0)
            line += 3;
        line += strspn(line, l->format == TSV ? " " : " \t");
        if (!too_long && (!*line || (*line == '#' && l->format != TSV)))
            continue;
        if (l->format == UNKNOWN) {
            r = detect(l, line, err);
            if (r == T3D_END)
                continue;
            if (r < 0)
                return r;
        }
        memset(row, 0, offsetof(struct t3d_url_row, caption));
        row->n_captions = 0;
        row->size = row->about = -1;
        row->line = l->line;
        row->bad.code = 0;
        if (too_long)
            bad(l, row, "line-too-long", "has more than 1 MiB", "");
        else if (l->format == NDJSON)
            read_json(l, row, line);
        else if (l->format == TSV)
            read_cells(l, row, line);
        else
            row->url = line;
        if (!row->url)
            bad(l, row, "no-url", "has no url", "");
        return T3D_OK;
    }
}
