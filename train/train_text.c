/* SPDX-License-Identifier: Apache-2.0 */
/* --text-encoder: words that the generator learns, or token features of frozen networks. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "model/conditioning.h"
#include "store/model_find.h"
#include "store/weights.h"
#include "train/train.h"

static const char learned[] = "learned", shipped[] = "clip-nano";

/* "clip_vit_l_14" is "clip-vit-l14": letters and digits alone are compared. */
static int alike(const char *a, const char *b)
{
    for (;; a++, b++) {
        while (*a && !isalnum((unsigned char)*a))
            a++;
        while (*b && !isalnum((unsigned char)*b))
            b++;
        if (tolower((unsigned char)*a) != tolower((unsigned char)*b))
            return 0;
        if (!*a)
            return 1;
    }
}

/* What a word names, as the folder of its rows is called. */
static const char *name_of(const char *word, struct t3d_arena *a)
{
    size_t n;
    const struct t3d_weights *all = t3d_weights_all(&n);

    for (size_t i = 0; i < n && !strchr(word, '/'); i++)
        if (alike(word, all[i].name))
            return all[i].name;
    return !strchr(word, '/') && alike(word, shipped) ? shipped : t3d_model_name(word, a);
}

static int add_name(const char **list, const char *word, struct t3d_arena *a, struct t3d_err *err)
{
    const char *name = *word ? name_of(word, a) : NULL;

    if (!name)
        return t3d_err_set(err, T3D_USAGE, "usage",
                           "--text-encoder '%.140s' is not a model's name or folder", word);
    *list = *list ? t3d_sprintf(a, "%s,%s", *list, name) : t3d_strdup(a, name);
    return *list ? T3D_OK : t3d_err_nomem(err, "a name");
}

int train_name_text(struct train_conf *c, struct t3d_arena *a, struct t3d_err *err)
{
    const char *list = NULL;
    char *word, *next;
    int r = T3D_OK;

    if (!c->text_encoder || strcmp(c->text_encoder, learned) == 0)
        return T3D_OK;
    for (word = t3d_strdup(a, c->text_encoder); r == T3D_OK; word = next) {
        if (!word)
            return t3d_err_nomem(err, "a name");
        next = strchr(word, ',');
        if (next)
            *next++ = 0;
        r = add_name(&list, word, a, err);
        if (!next)
            break;
    }
    c->text_encoder = list;
    return r;
}

static int add_encoder(struct train_conf *c, const char *name, struct t3d_err *err)
{
    struct t3d_generator_config size = train_generator_of(c);

    if (c->n_encoders == T3D_GENERATOR_ENCODERS)
        return t3d_err_set(err, T3D_USAGE, "usage",
                           "--text-encoder %s: a model takes the features of two networks at most",
                           c->text_encoder);
    for (int i = 0; i < c->n_encoders; i++)
        if (strcmp(c->encoder[i].name, name) == 0)
            return t3d_err_set(err, T3D_USAGE, "usage", "--text-encoder names '%s' twice", name);
    return t3d_conditioning_find(&c->encoder[c->n_encoders++], c->common.workspace, name,
                                 size.text_tokens, err);
}

int train_find_text(struct train_conf *c, struct t3d_err *err)
{
    const char *word = c->text_encoder;
    char name[sizeof c->encoder->name];
    int r = T3D_OK;

    c->n_encoders = 0;
    if (!train_is_generator(c) || !word || strcmp(word, learned) == 0)
        return T3D_OK;
    while (word && r == T3D_OK) {
        snprintf(name, sizeof name, "%.*s", (int)strcspn(word, ","), word);
        r = add_encoder(c, name, err);
        word = strchr(word, ',');
        word += word != NULL;
    }
    return r;
}
