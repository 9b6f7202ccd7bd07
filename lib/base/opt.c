/* SPDX-License-Identifier: Apache-2.0 */
/* The parser: defaults, environment, command line. */
#include "base/opt.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/opt_impl.h"

struct parse {
    const struct t3d_command *c;
    char **argv;
    int argc, i; /* i: the next word */
    void *conf;
    struct t3d_common *common;
    struct t3d_arena *a;
    const struct t3d_opt **seen; /* argc + letters of them */
    size_t n_seen, max_seen;
    const char *info;
    struct t3d_err *err;
};

#define usage(p, ...) t3d_err_set((p)->err, T3D_USAGE, "usage", __VA_ARGS__)

/* All long names, for did-you-mean. */
static const char *all_names(struct parse *p)
{
    const struct t3d_opt *tables[] = {p->c->opts, t3di_common_opts, t3di_info_opts};
    const char *list = "";

    for (size_t t = 0; t < T3D_COUNT(tables); t++)
        for (const struct t3d_opt *o = tables[t]; o && o->name && list; o++)
            list = t3d_sprintf(p->a, "%s %s", list, o->name);
    return list ? list : "";
}

static int unknown(struct parse *p, const char *name)
{
    char near[64];
    const char *hint, *advice = t3di_opt_advice(name);

    if (advice)
        return usage(p, "there is no --%s here: %s", name, advice);
    hint = t3d_did_you_mean(name, all_names(p), near, sizeof near);
    return hint ? usage(p, "unknown option --%s (did you mean --%s?)", name, hint)
                : usage(p, "unknown option --%s", name);
}

static int is_list(const struct t3d_opt *o)
{
    return o->type == T3D_OPT_WORDS || o->type == T3D_OPT_FILES;
}

/* Remember that o was given. The first time a list's default makes room. */
static int note(struct parse *p, const struct t3d_opt *o)
{
    for (size_t i = 0; i < p->n_seen; i++)
        if (p->seen[i] == o)
            return T3D_OK;
    if (p->n_seen == p->max_seen) {
        const struct t3d_opt **more = t3d_alloc(p->a, 2 * p->max_seen + 16, sizeof *more);

        if (!more)
            return t3d_err_nomem(p->err, "the options");
        if (p->n_seen)
            memcpy(more, p->seen, p->n_seen * sizeof *more);
        p->seen = more;
        p->max_seen = 2 * p->max_seen + 16;
    }
    p->seen[p->n_seen++] = o;
    if (is_list(o))
        *(struct t3d_list *)((char *)p->conf + o->offset) = (struct t3d_list){0};
    return T3D_OK;
}

static int is_option(const char *word)
{
    return word[0] == '-' && word[1];
}

/* --help[=WHAT], --version, --completion SHELL */
static int take_info(struct parse *p, const struct t3d_opt *o, const char *value)
{
    const char *what = o->name;

    if (o->type == T3D_OPT_BOOL && value)
        return usage(p, "--%s takes no value, but was given '%s'", o->name, value);
    if (o->arg && !value) {
        if (p->i >= p->argc)
            return usage(p, "--%s needs a value: %s", o->name, o->choices);
        value = p->argv[p->i++];
    }
    if (value) {
        struct t3d_opt check = *o;
        const char *word = NULL;

        check.offset = 0;
        if (t3di_opt_store(&check, value, &word, p->a, p->err) < 0)
            return T3D_USAGE;
        what = o->arg ? t3d_sprintf(p->a, "%s-%s", o->name, word) : word;
    }
    p->info = what;
    return what ? T3D_END : t3d_err_nomem(p->err, "the options");
}

static int is_info(const struct t3d_opt *o)
{
    return o >= t3di_info_opts && o < t3di_info_opts + 3;
}

/* All words up to the next option, or to "-", which means stdin. */
static int take_files(struct parse *p, const struct t3d_opt *o)
{
    int first = p->i;

    while (p->i < p->argc && !is_option(p->argv[p->i]) && strcmp(p->argv[p->i], "-") != 0)
        if (t3di_opt_store(o, p->argv[p->i++], p->conf, p->a, p->err) < 0)
            return p->err ? p->err->code : T3D_USAGE;
    if (p->i == first)
        return usage(p, "--%s needs at least one %s", o->name, o->arg ? o->arg : "FILE");
    return T3D_OK;
}

/* value NULL = not given in the same word. */
static int take(struct parse *p, const struct t3d_opt *o, const char *value)
{
    int r;

    if (is_info(o))
        return take_info(p, o, value);
    r = note(p, o);
    if (r < 0)
        return r;
    if (o->type == T3D_OPT_BOOL) {
        if (value)
            return usage(p, "--%s takes no value, but was given '%s'", o->name, value);
        return t3di_opt_store(o, "yes", p->conf, p->a, p->err);
    }
    if (!value && o->type == T3D_OPT_FILES)
        return take_files(p, o);
    if (!value && p->i >= p->argc)
        return usage(p, "--%s needs a value: %s", o->name, o->arg ? o->arg : "VALUE");
    if (!value)
        value = p->argv[p->i++];
    return t3di_opt_store(o, value, p->conf, p->a, p->err);
}

static int take_long(struct parse *p, const char *word)
{
    const char *equals = strchr(word, '=');
    const struct t3d_opt *o;
    char name[64];
    size_t n = t3di_opt_name(word, name, sizeof name);
    int r;

    if (!n)
        return usage(p, "unknown option --%s", word);
    o = t3di_opt_find(p->c->opts, name, n, 0);
    if (o)
        return take(p, o, equals ? equals + 1 : NULL);
    if (strncmp(name, "no-", 3) == 0)
        o = t3di_opt_find(p->c->opts, name + 3, n - 3, 0);
    if (!o || o->type != T3D_OPT_BOOL || is_info(o))
        return unknown(p, name);
    if (equals)
        return usage(p, "--%s takes no value, but was given '%s'", name, equals + 1);
    r = note(p, o);
    return r < 0 ? r : t3di_opt_store(o, "no", p->conf, p->a, p->err);
}

/* -v, -qv, -j8, -j 8 */
static int take_letters(struct parse *p, const char *word)
{
    int r = T3D_OK;

    for (const char *s = word; *s && r == T3D_OK; s++) {
        const struct t3d_opt *o = t3di_opt_find(p->c->opts, NULL, 0, *s);
        const char letter[] = {*s, 0};

        if (!o)
            return usage(p, "unknown option -%s in '-%s'", letter, word);
        if (o->type != T3D_OPT_BOOL && !(is_info(o) && !o->arg))
            return take(p, o, s[1] ? s + 1 : NULL);
        r = take(p, o, NULL);
    }
    return r;
}

/* 1 when the synopsis lets records come from stdin: it has a word "-" or "[-]". */
static int takes_stdin(const char *operands)
{
    for (const char *s = operands ? operands : ""; *s; s += strspn(s, " ")) {
        size_t n = strcspn(s, " ");

        if ((n == 1 && *s == '-') || (n == 3 && memcmp(s, "[-]", 3) == 0))
            return 1;
        s += n;
    }
    return 0;
}

static int take_operand(struct parse *p, const char *word)
{
    if (strcmp(word, "-") == 0) {
        if (!takes_stdin(p->c->operands))
            return usage(p, "'-' (records on standard input) is not read by this command");
        p->common->use_stdin = 1;
        return T3D_OK;
    }
    p->common->operands.item[p->common->operands.n++] = word;
    return T3D_OK;
}

/* The operands against the synopsis. */
static int check_operands(struct parse *p)
{
    const struct t3d_list *l = &p->common->operands;
    size_t need = 0, most = 0;

    for (const char *s = p->c->operands ? p->c->operands : ""; *s; s += strspn(s, " ")) {
        size_t n = strcspn(s, " ");

        if (!(n == 1 && *s == '-') && !(n == 3 && memcmp(s, "[-]", 3) == 0)) {
            const char *dots = memmem(s, n, "...", 3);

            most = dots || most == SIZE_MAX ? SIZE_MAX : most + 1;
            need += *s != '[';
        }
        s += n;
    }
    if (l->n > most)
        return most == 0 && !p->c->operands
                   ? usage(p, "unexpected operand '%s': this command takes none", l->item[most])
                   : usage(p, "unexpected operand '%s': this command takes %s", l->item[most],
                           p->c->operands);
    if (l->n < need && !p->common->use_stdin)
        return usage(p, "an operand is missing: %s", p->c->operands);
    return T3D_OK;
}

static int set_defaults(struct parse *p)
{
    const struct t3d_opt *tables[] = {p->c->opts, t3di_common_opts};
    const char *workspace = getenv("T3D_WORKSPACE");

    for (size_t t = 0; t < T3D_COUNT(tables); t++)
        for (const struct t3d_opt *o = tables[t]; o && o->name; o++) {
            int r;

            if (!o->def || (t == 1 && t3di_opt_hidden(p->c->opts, o)))
                continue;
            r = t3di_opt_store(o, o->def, p->conf, p->a, p->err);
            if (r < 0)
                return r;
        }
    if (workspace && *workspace)
        p->common->workspace = workspace;
    return T3D_OK;
}

static int finish(struct parse *p)
{
    struct t3d_common *c = p->common;
    const char *given = "";
    int r = check_operands(p);

    for (size_t i = 0; i < p->n_seen && given; i++)
        given = t3d_sprintf(p->a, "%s%s%s", given, i ? "\n" : "", p->seen[i]->name);
    if (!given)
        return t3d_err_nomem(p->err, "the options");
    c->given = given;
    c->shard_count = 1;
    if (r < 0)
        return r;
    if (c->threads < 0 || c->threads > 1024)
        return usage(p, "--threads: the number of threads is from 0 (all) to 1024");
    if (!*c->workspace)
        return usage(p, "--workspace: the name of a folder is needed, use . for this one");
    return c->shard ? t3d_shard_parse(c->shard, &c->shard_index, &c->shard_count, p->err) : T3D_OK;
}

int t3d_opt_parse(const struct t3d_command *c, int argc, char **argv, void *conf,
                  struct t3d_arena *a, const char **info, struct t3d_err *err)
{
    struct parse p = {
        .c = c, .argv = argv, .argc = argc, .i = 1, .conf = conf, .common = conf, .a = a};
    int options = 1, r;

    p.err = err;
    *info = NULL;
    r = set_defaults(&p);
    if (r < 0)
        return r;
    p.common->operands.item = t3d_alloc(a, (size_t)T3D_MAX(argc, 1), sizeof(char *));
    if (!p.common->operands.item)
        return t3d_err_nomem(err, "the options");
    while (p.i < argc) {
        const char *word = argv[p.i++];

        if (!options || !is_option(word))
            r = take_operand(&p, word);
        else if (strcmp(word, "--") == 0)
            options = 0;
        else
            r = word[1] == '-' ? take_long(&p, word + 2) : take_letters(&p, word + 1);
        if (r == T3D_END) {
            *info = p.info;
            return T3D_OK;
        }
        if (r < 0)
            return r;
    }
    return finish(&p);
}

int t3d_opt_given(const struct t3d_common *c, const char *name)
{
    size_t n = strlen(name);

    for (const char *s = c->given; s && *s; s += strspn(s, "\n")) {
        size_t m = strcspn(s, "\n");

        if (m == n && memcmp(s, name, n) == 0)
            return 1;
        s += m;
    }
    return 0;
}

int t3d_opt_refuse(const struct t3d_common *c, const char *names, struct t3d_err *err)
{
    char name[64];

    for (; *names; names += strspn(names, " ")) {
        size_t n = strcspn(names, " ");

        snprintf(name, sizeof name, "%.*s", (int)n, names);
        if (t3d_opt_given(c, name))
            return t3d_err_set(err, T3D_USAGE, "usage",
                               "--%s says nothing to this command: leave it out", name);
        names += n;
    }
    return T3D_OK;
}
