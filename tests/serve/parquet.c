/* SPDX-License-Identifier: Apache-2.0 */
/* parquet [-g ROWS] FILE: tab-separated lines of standard input, the first one with the names of
 * the columns, as a Parquet table of optional strings for the tests: row groups of ROWS (default
 * 100000), plain pages of version 1, not compressed. "\N" is null. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { COLUMNS = 16, PAGE = 1 << 20 };

struct buffer {
    uint8_t *data;
    size_t n, capacity;
};

struct column {
    char name[64];
    struct buffer values, levels, chunk;
    uint32_t rows, group_rows; /* of the page, of the group */
};

static struct column column[COLUMNS];
static size_t columns;
static struct buffer groups;
static uint64_t total, n_groups, at = 4;
static FILE *out;

static void put(struct buffer *b, const void *data, size_t n)
{
    if (b->n + n > b->capacity) {
        b->capacity = 2 * (b->n + n);
        b->data = realloc(b->data, b->capacity);
        if (!b->data)
            exit(1);
    }
    if (n)
        memcpy(b->data + b->n, data, n);
    b->n += n;
}

static void byte(struct buffer *b, unsigned v)
{
    put(b, &(uint8_t){(uint8_t)v}, 1);
}

static void le32(struct buffer *b, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        byte(b, v >> (8 * i) & 255);
}

static void varint(struct buffer *b, uint64_t v)
{
    for (; v > 127; v >>= 7)
        byte(b, (unsigned)(v & 127) | 128);
    byte(b, (unsigned)v);
}

/* A field of the compact protocol: its number counted from the last one, its type. */
static void integer(struct buffer *b, unsigned step, int64_t v)
{
    byte(b, step << 4 | 6);
    varint(b, (uint64_t)(v << 1) ^ (uint64_t)(v >> 63));
}

static void small(struct buffer *b, unsigned step, int32_t v)
{
    byte(b, step << 4 | 5);
    varint(b, (uint32_t)v << 1);
}

static void text(struct buffer *b, const char *s)
{
    varint(b, strlen(s));
    put(b, s, strlen(s));
}

static void end_page(struct column *c)
{
    struct buffer head = {0}, runs = {0};

    if (!c->rows)
        return;
    /* levels: one bit-packed run of groups of eight */
    varint(&runs, (uint64_t)(c->rows + 7) / 8 << 1 | 1);
    put(&runs, c->levels.data, c->levels.n);
    small(&head, 1, 0);
    small(&head, 1, (int32_t)(4 + runs.n + c->values.n));
    small(&head, 1, (int32_t)(4 + runs.n + c->values.n));
    byte(&head, 2 << 4 | 12);
    small(&head, 1, (int32_t)c->rows);
    small(&head, 1, 0);
    small(&head, 1, 3);
    small(&head, 1, 3);
    byte(&head, 0);
    byte(&head, 0);
    put(&c->chunk, head.data, head.n);
    le32(&c->chunk, (uint32_t)runs.n);
    put(&c->chunk, runs.data, runs.n);
    put(&c->chunk, c->values.data, c->values.n);
    free(head.data);
    free(runs.data);
    c->values.n = c->levels.n = 0;
    c->rows = 0;
}

static void end_group(uint32_t rows)
{
    uint64_t bytes = 0;

    if (!rows)
        return;
    byte(&groups, 1 << 4 | 9);
    byte(&groups, (unsigned)columns << 4 | 12);
    for (size_t i = 0; i < columns; i++) {
        struct column *c = &column[i];

        end_page(c);
        integer(&groups, 2, (int64_t)at);
        byte(&groups, 1 << 4 | 12);
        small(&groups, 1, 6);
        byte(&groups, 1 << 4 | 9);
        byte(&groups, 1 << 4 | 5);
        varint(&groups, 0);
        byte(&groups, 1 << 4 | 9);
        byte(&groups, 1 << 4 | 8);
        text(&groups, c->name);
        small(&groups, 1, 0);
        integer(&groups, 1, rows);
        integer(&groups, 1, (int64_t)c->chunk.n);
        integer(&groups, 1, (int64_t)c->chunk.n);
        integer(&groups, 2, (int64_t)at);
        byte(&groups, 0);
        byte(&groups, 0);
        fwrite(c->chunk.data, 1, c->chunk.n, out);
        at += c->chunk.n;
        bytes += c->chunk.n;
        c->chunk.n = 0;
    }
    integer(&groups, 1, (int64_t)bytes);
    integer(&groups, 1, rows);
    byte(&groups, 0);
    n_groups++;
}

static void add(struct column *c, const char *s)
{
    int is_null = strcmp(s, "\\N") == 0;

    if (c->rows % 8 == 0)
        byte(&c->levels, 0);
    if (!is_null) {
        c->levels.data[c->levels.n - 1] |= (uint8_t)(1 << c->rows % 8);
        le32(&c->values, (uint32_t)strlen(s));
        put(&c->values, s, strlen(s));
    }
    c->rows++;
    if (c->values.n >= PAGE)
        end_page(c);
}

static void footer(void)
{
    struct buffer b = {0};

    small(&b, 1, 1);
    byte(&b, 1 << 4 | 9);
    byte(&b, 15 << 4 | 12);
    varint(&b, columns + 1);
    byte(&b, 4 << 4 | 8);
    text(&b, "schema");
    small(&b, 1, (int32_t)columns);
    byte(&b, 0);
    for (size_t i = 0; i < columns; i++) {
        small(&b, 1, 6);
        small(&b, 2, 1);
        byte(&b, 1 << 4 | 8);
        text(&b, column[i].name);
        small(&b, 2, 0);
        byte(&b, 0);
    }
    integer(&b, 1, (int64_t)total);
    byte(&b, 1 << 4 | 9);
    byte(&b, 15 << 4 | 12);
    varint(&b, n_groups);
    put(&b, groups.data, groups.n);
    byte(&b, 0);
    fwrite(b.data, 1, b.n, out);
    fwrite((uint8_t[]){b.n & 255, b.n >> 8 & 255, b.n >> 16 & 255, b.n >> 24 & 255, 'P', 'A', 'R',
                       '1'},
           1, 8, out);
}

int main(int argc, char **argv)
{
    uint32_t group = 100000, rows = 0;
    char *line = NULL, *s;
    size_t capacity = 0;
    int c;

    while ((c = getopt(argc, argv, "g:")) != -1)
        if (c == 'g')
            group = (uint32_t)strtoul(optarg, NULL, 10);
    out = optind < argc && group ? fopen(argv[optind], "wbe") : NULL;
    if (!out || getline(&line, &capacity, stdin) < 0)
        return 2;
    line[strcspn(line, "\n")] = 0;
    for (char *rest = line; columns < COLUMNS - 1 && (s = strsep(&rest, "\t"));)
        snprintf(column[columns++].name, sizeof column[0].name, "%s", s);
    fwrite("PAR1", 1, 4, out);
    while (getline(&line, &capacity, stdin) >= 0) {
        char *rest = line;

        line[strcspn(line, "\n")] = 0;
        for (size_t i = 0; i < columns; i++)
            add(&column[i], (s = strsep(&rest, "\t")) ? s : "\\N");
        total++;
        if (++rows == group) {
            end_group(rows);
            rows = 0;
        }
    }
    end_group(rows);
    footer();
    return fclose(out) ? 1 : 0;
}
