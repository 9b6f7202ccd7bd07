/* SPDX-License-Identifier: Apache-2.0 */
/* net/tokenize_clip_impl.h -- what the loader makes and the tokenizer uses. */
#ifndef T3D_NET_TOKENIZE_CLIP_IMPL_H
#define T3D_NET_TOKENIZE_CLIP_IMPL_H

#include "base/arena.h"
#include "base/hash.h"
#include "net/tokenize_clip.h"

struct t3di_merge {
    uint32_t left, right; /* ids */
    uint32_t rank, id;    /* place in the list of merges; id of the joined symbol */
};

struct t3d_clip_tokenizer {
    struct t3d_arena arena;
    uint32_t size, start, end;
    enum t3d_cleaning cleaning;
    uint32_t byte[2][256];    /* id of a byte, alone and with "</w>" */
    struct t3di_merge *merge; /* hash table by (left, right); rank T3DI_NO_MERGE = empty */
    size_t merge_mask;
    char hash[T3D_SHA256_HEX];
};

enum { T3DI_NO_MERGE = 0x7fffffff };

/* The place of the pair in the table: its own, or an empty one. */
struct t3di_merge *t3di_merge_find(const struct t3d_clip_tokenizer *t, uint32_t left,
                                   uint32_t right);

/* Name of a byte's symbol into s (16 bytes, no NUL), with "</w>" if ends_word; returns its length.
 * place: that of the byte in the vocabulary, 0..255. */
size_t t3di_byte_name(char *s, unsigned byte, int ends_word, unsigned *place);

#endif
