/* SPDX-License-Identifier: Apache-2.0 */
/* net/tokenize_unigram_impl.h -- what the loader makes and the tokenizer uses. */
#ifndef T3D_NET_TOKENIZE_UNIGRAM_IMPL_H
#define T3D_NET_TOKENIZE_UNIGRAM_IMPL_H

#include "base/arena.h"
#include "base/hash.h"
#include "net/tokenize_unigram.h"

/* sentencepiece_model.proto, ModelProto.SentencePiece.Type */
enum t3di_piece_type {
    T3DI_PIECE_NORMAL = 1,
    T3DI_PIECE_UNKNOWN,
    T3DI_PIECE_CONTROL,
    T3DI_PIECE_USER,
    T3DI_PIECE_UNUSED,
    T3DI_PIECE_BYTE
};

struct t3di_piece {
    const char *s; /* n bytes, not NUL-terminated */
    uint32_t n, id;
    float score;
    enum t3di_piece_type type;
};

struct t3d_unigram_tokenizer {
    struct t3d_arena arena;
    struct t3di_piece *piece; /* (n_pieces) that text can match: normal, user, unused; sorted */
    size_t n_pieces;
    uint32_t size, end, unknown;
    uint32_t byte[256]; /* of byte_fallback */
    int byte_fallback, has_user;
    int dummy_prefix, remove_spaces, escape_spaces, space_is_suffix;
    float min_score, max_score; /* of normal pieces */
    const uint8_t *trie;        /* darts-clone units, 4 bytes little-endian each */
    size_t n_units;
    const char *pool; /* NUL-terminated replacements */
    size_t pool_size;
    char hash[T3D_SHA256_HEX];
};

/* Of the pieces in [low, high), which agree in `depth` bytes, those with the byte c next. */
void t3di_piece_narrow(const struct t3d_unigram_tokenizer *t, size_t *low, size_t *high,
                       size_t depth, uint8_t c);

#endif
