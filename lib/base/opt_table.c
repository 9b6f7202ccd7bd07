/* SPDX-License-Identifier: Apache-2.0 */
/* The options that every command has, look-up by name, and the nearest word. */
#include <string.h>

#include "base/opt_impl.h"

#define AT(member) offsetof(struct t3d_common, member)

const struct t3d_opt t3di_common_opts[] = {
    {'C', "workspace", T3D_OPT_STRING, AT(workspace), "DIR", ".", NULL,
     "folder of the manifest and of everything made (or T3D_WORKSPACE)"},
    {'j', "threads", T3D_OPT_INT, AT(threads), "N", "0", NULL,
     "threads; 0 = all processors this process may use"},
    {0, "shard", T3D_OPT_STRING, AT(shard), "I/N", NULL, NULL,
     "do part I of N, I from 0; auto = as Slurm, MPI or auto/N of an indexed job say"},
    {0, "redo", T3D_OPT_BOOL, AT(redo), NULL, NULL, NULL, "do again what is done"},
    {0, "dry-run", T3D_OPT_BOOL, AT(dry_run), NULL, NULL, NULL,
     "say what would be done, change nothing"},
    {0, "rejects", T3D_OPT_STRING, AT(rejects), "FILE", NULL, NULL,
     "write rejected and failed objects there, one JSON object a line"},
    {0, "progress", T3D_OPT_STRING, AT(progress), "MODE", "auto", "auto bar json none",
     "progress on standard error"},
    {0, "seed", T3D_OPT_U64, AT(seed), "N", "0", NULL, "seed of everything random"},
    {'q', "quiet", T3D_OPT_BOOL, AT(quiet), NULL, NULL, NULL, "only errors on standard error"},
    {'v', "verbose", T3D_OPT_BOOL, AT(verbose), NULL, NULL, NULL, "more messages"},
    {0}};

const struct t3d_opt t3di_info_opts[] = {
    {'h', "help", T3D_OPT_STRING, 0, NULL, NULL, "man summary",
     "show this help; --help=man prints a manual page"},
    {0, "version", T3D_OPT_BOOL, 0, NULL, NULL, NULL, "show the version"},
    {0, "completion", T3D_OPT_STRING, 0, "SHELL", NULL, "bash zsh fish",
     "print completion code for a shell"},
    {0}};

static const struct t3d_opt *find_in(const struct t3d_opt *o, const char *name, size_t n,
                                     char letter)
{
    for (; o && o->name; o++) {
        if (letter ? o->letter == letter : strlen(o->name) == n && memcmp(o->name, name, n) == 0)
            return o;
    }
    return NULL;
}

int t3di_opt_hidden(const struct t3d_opt *own, const struct t3d_opt *common)
{
    return find_in(own, common->name, strlen(common->name), 0) != NULL;
}

const struct t3d_opt *t3di_opt_find(const struct t3d_opt *own, const char *name, size_t n,
                                    char letter)
{
    const struct t3d_opt *o = find_in(own, name, n, letter);

    if (!o)
        o = find_in(t3di_common_opts, name, n, letter);
    return o ? o : find_in(t3di_info_opts, name, n, letter);
}

size_t t3di_opt_name(const char *typed, char *buf, size_t n)
{
    size_t len = strcspn(typed, "=");

    if (len >= n)
        return 0;
    for (size_t i = 0; i < len; i++)
        buf[i] = typed[i] == '_' ? '-' : typed[i];
    buf[len] = 0;
    return len;
}

/* Edit distance with transpositions of neighbours (optimal string alignment), for words up to 63.
 */
static size_t distance(const char *a, size_t n, const char *b, size_t m)
{
    size_t row[3][64];

    for (size_t j = 0; j <= m; j++)
        row[0][j] = j;
    for (size_t i = 1; i <= n; i++) {
        size_t *now = row[i % 3], *last = row[(i + 2) % 3], *before = row[(i + 1) % 3];

        now[0] = i;
        for (size_t j = 1; j <= m; j++) {
            size_t d = last[j - 1] + (a[i - 1] != b[j - 1]);

            d = T3D_MIN(d, last[j] + 1);
            d = T3D_MIN(d, now[j - 1] + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                d = T3D_MIN(d, before[j - 2] + 1);
            now[j] = d;
        }
    }
    return row[n % 3][m];
}

const char *t3d_did_you_mean(const char *word, const char *list, char *buf, size_t n)
{
    size_t len = strlen(word), best = 3, best_len = 0;
    const char *found = NULL;

    if (len > 63)
        return NULL;
    for (const char *p = list + strspn(list, " "); *p; p += strspn(p, " ")) {
        size_t m = strcspn(p, " ");
        size_t d = m < 64 ? distance(word, len, p, m) : 3;

        /* Of a word of two letters nothing would be left after two changes. */
        if (d < best && 2 * d <= T3D_MAX(len, m)) {
            best = d;
            found = p;
            best_len = m;
        }
        p += m;
    }
    if (!found || best_len >= n)
        return NULL;
    memcpy(buf, found, best_len);
    buf[best_len] = 0;
    return buf;
}
