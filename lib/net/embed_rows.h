/* SPDX-License-Identifier: Apache-2.0 */
/* net/embed_rows.h -- what the files of embeddings say: of themselves and of each row
 * (doc/formats.md). */
#ifndef T3D_NET_EMBED_ROWS_H
#define T3D_NET_EMBED_ROWS_H

#include <cjson/cJSON.h>

#include "net/embed.h"
#include "store/rows.h"

/* The key of what has failed. */
#define T3D_EMBED_NO_KEY "00000000000000000000000000000000"

/* How rows are made: all that decides their numbers. renders: name of the folder of shards, or NULL
 * when there are no views. half: stored as float16. Caller frees; NULL when memory is out. */
cJSON *t3d_embed_about(const struct t3d_encoder *e, const char *model, const uint8_t background[3],
                       const char *renders, int half);

/* Takes o over: its members as text without braces, in the arena; NULL when memory is out. Failed
 * inputs get the members reason and message, cut texts truncated. in may be NULL. */
const char *t3d_embed_members(cJSON *o, const struct t3d_embed_input *in, struct t3d_arena *a);

/* Blocks of n texts whose members are given: a row a text, and (tokens not NULL) its features. In
 * the arena; T3D_FAIL when memory is out. */
int t3d_embed_texts(const struct t3d_encoder *e, const struct t3d_embed_input *const *in,
                    const char *const *members, size_t n, struct t3d_rows_block *texts,
                    struct t3d_rows_block *tokens, struct t3d_arena *a,
                    struct t3d_err *err) T3D_MUST_CHECK;
/* A block of n rows. */
int t3d_embed_block(const struct t3d_encoder *e, const struct t3d_embed_input *const *in,
                    const char *const *members, size_t n, struct t3d_rows_block *block,
                    struct t3d_arena *a, struct t3d_err *err) T3D_MUST_CHECK;

#endif
