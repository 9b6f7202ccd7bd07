/* SPDX-License-Identifier: Apache-2.0 */
/* mutate SEED FIRST COUNT OUT FOLDER...: for each i in [FIRST, FIRST + COUNT) the files of one of
 * the folders, one of them damaged, in OUT/<i>-<folder's name>/. The same seed and i give the same
 * bytes. */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { FILES = 32, ROOM = 64 << 10 };

static uint64_t state;

/* SplitMix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014). */
static uint64_t next(void)
{
    uint64_t z = state += 0x9e3779b97f4a7c15u;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static size_t below(size_t n)
{
    return n ? (size_t)(next() % n) : 0;
}

struct file {
    char name[256];
    unsigned char *data;
    size_t n;
};

static void die(const char *why, const char *what)
{
    fprintf(stderr, "mutate: %s %s\n", why, what);
    exit(1);
}

/* --- damage
 * --------------------------------------------------------------------------------------- */

static void replace(struct file *f, size_t at, size_t gone, const void *by, size_t n)
{
    gone = gone > f->n - at ? f->n - at : gone;
    memmove(f->data + at + n, f->data + at + gone, f->n - at - gone);
    memcpy(f->data + at, by, n);
    f->n += n - gone;
}

static void word(struct file *f)
{
    static const uint64_t odd[] = {0,          1,          0x7f,       0x80,       0xff,
                                   0x7fff,     0x8000,     0xffff,     0x7fffffff, 0x80000000,
                                   0xffffffff, 0x40000000, 0x10000000, 0x01000000, 0x7f800000,
                                   0x7fc00000, 0xff800000, 0x00800000};
    uint64_t v =
        odd[below(sizeof odd / sizeof *odd)] + (below(4) ? 0 : next() % 3) - (below(4) ? 0 : 1);
    size_t width = (size_t)1 << below(4), at = below(f->n);

    for (size_t i = 0; i < width && at + i < f->n; i++)
        f->data[at + i] = (unsigned char)(v >> (8 * i));
}

/* A number of a text becomes another. */
static void digits(struct file *f)
{
    static const char *const odd[] = {"0",          "-1",
                                      "1",          "2147483647",
                                      "2147483648", "4294967295",
                                      "4294967296", "1e999",
                                      "-1e999",     "nan",
                                      "inf",        "1e-400",
                                      "65535",      "1000000000",
                                      "0.5",        "9223372036854775808",
                                      "",           "99999999999999999999999999",
                                      "-0",         "5126"};
    size_t at = below(f->n), n = 0;
    const char *by = odd[below(sizeof odd / sizeof *odd)];

    for (size_t i = 0; i < f->n && (f->data[at] < '0' || f->data[at] > '9'); i++)
        at = (at + 1) % f->n;
    while (at + n < f->n &&
           ((f->data[at + n] >= '0' && f->data[at + n] <= '9') || f->data[at + n] == '.'))
        n++;
    if (n)
        replace(f, at, n, by, strlen(by));
}

static void damage(struct file *f)
{
    unsigned char block[256];
    size_t at = below(f->n), n = 1 + below(below(4) ? 16 : sizeof block), from;

    switch (below(9)) {
    case 0:
        f->data[at] ^= (unsigned char)(1u << below(8));
        break;
    case 1:
        f->data[at] = (unsigned char)next();
        break;
    case 2:
    case 3:
        word(f);
        break;
    case 4:
    case 5:
        digits(f);
        break;
    case 6:
        replace(f, at, n, "", 0);
        break;
    case 7: /* a piece of it once more, elsewhere */
        from = below(f->n);
        n = n > f->n - from ? f->n - from : n;
        memcpy(block, f->data + from, n);
        replace(f, at, below(2) ? n : 0, block, n);
        break;
    default:
        if (!below(4))
            f->n = at;
        else
            for (size_t i = 0; i < n && at + i < f->n; i++)
                f->data[at + i] = (unsigned char)next();
    }
}

/* --- folders
 * -------------------------------------------------------------------------------------- */

static size_t load(const char *folder, struct file *file)
{
    DIR *d = opendir(folder);
    struct dirent *e;
    size_t n = 0;

    if (!d)
        die("cannot open", folder);
    while ((e = readdir(d)) != NULL && n < FILES) {
        char path[1024];
        FILE *f;
        long size = -1;

        if (e->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
        f = fopen(path, "rb");
        if (!f || fseek(f, 0, SEEK_END) < 0 || (size = ftell(f)) < 0)
            die("cannot read", path);
        rewind(f);
        snprintf(file[n].name, sizeof file[n].name, "%s", e->d_name);
        file[n].n = (size_t)size;
        file[n].data = malloc((size_t)size + ROOM);
        if (!file[n].data || (size && fread(file[n].data, (size_t)size, 1, f) != 1))
            die("cannot read", path);
        fclose(f);
        n++;
    }
    closedir(d);
    if (!n)
        die("no files in", folder);
    return n;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct file *)a)->name, ((const struct file *)b)->name);
}

static void save(const char *folder, const struct file *file, size_t n)
{
    if (mkdir(folder, 0777) < 0 && errno != EEXIST)
        die("cannot make", folder);
    for (size_t i = 0; i < n; i++) {
        char path[2048];
        FILE *f;

        snprintf(path, sizeof path, "%.1000s/%.255s", folder, file[i].name);
        f = fopen(path, "wb");
        if (!f || (file[i].n && fwrite(file[i].data, file[i].n, 1, f) != 1) || fclose(f) != 0)
            die("cannot write", path);
    }
}

int main(int argc, char **argv)
{
    uint64_t seed = argc > 5 ? strtoull(argv[1], NULL, 10) : 0, first, end;

    if (argc < 6)
        die("usage:", "mutate SEED FIRST COUNT OUT FOLDER...");
    first = strtoull(argv[2], NULL, 10);
    end = first + strtoull(argv[3], NULL, 10);
    for (uint64_t i = first; i < end; i++) {
        const char *folder = argv[5 + i % (uint64_t)(argc - 5)], *base = strrchr(folder, '/');
        struct file file[FILES], *f;
        char out[1024];
        size_t n = load(folder, file), times;

        state = seed * 0x100000001b3u + i;
        qsort(file, n, sizeof *file, by_name);
        f = &file[below(n)];
        for (times = 1 + below(below(3) ? 3 : 12); times-- && f->n && f->n < 16u << 20;)
            damage(f);
        snprintf(out, sizeof out, "%s/%06llu-%s", argv[4], (unsigned long long)i,
                 base ? base + 1 : folder);
        save(out, file, n);
        for (size_t k = 0; k < n; k++)
            free(file[k].data);
    }
    return 0;
}
