/* SPDX-License-Identifier: Apache-2.0 */
/* net/tokenize_unigram_impl.h -- what the loaders make and the tokenizer uses. */
#ifndef T3D_NET_TOKENIZE_UNIGRAM_IMPL_H
#define T3D_NET_TOKENIZE_UNIGRAM_IMPL_H

#include "base/arena.h"
#include "base/hash.h"
#include "net/tokenize_unigram.h"
#include "net/trie.h"

/* sentencepiece_model.proto, ModelProto.SentencePiece.Type; a tokenizer.json has normal ones and
 * the unknown one. */
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
    double score;
    enum t3di_piece_type type;
};

/* A part of a tokenizer.json's normaliser. */
struct t3di_step {
    enum { T3DI_STEP_MAP, T3DI_STEP_STRIP, T3DI_STEP_REPLACE, T3DI_STEP_SPACES } kind;
    int left, right;       /* STRIP */
    const char *from, *to; /* REPLACE; SPACES: two and more of ' ' become `to` */
};

/* A token that texts are cut at before anything else, or (normalized) after the normaliser. */
struct t3di_added {
    const char *s;
    uint32_t n, id;
    int lstrip, rstrip, normalized;
};

enum t3di_prepend { T3DI_PREPEND_NEVER, T3DI_PREPEND_FIRST, T3DI_PREPEND_ALWAYS };

struct t3d_unigram_tokenizer {
    struct t3d_arena arena;
    struct t3di_piece *all, *piece; /* (n_all) by id; (n_pieces) that text can match, sorted */
    size_t n_all, n_pieces;
    struct t3di_trie trie; /* of piece */
    uint32_t size, end, unknown, unknown_n;
    const char *unknown_text; /* (unknown_n) */
    uint32_t byte[256];       /* of byte_fallback */
    int byte_fallback;
    double min_score, max_score; /* of normal pieces */

    const uint8_t *map; /* precompiled_charsmap: darts-clone units, 4 bytes little-endian each */
    size_t n_units;
    const char *pool; /* NUL-terminated replacements */
    size_t pool_size;
    uint8_t plain[128]; /* the map leaves this character alone when ASCII follows */

    /* spiece.model */
    int has_user, dummy_prefix, remove_spaces, escape_spaces, space_is_suffix;

    /* tokenizer.json */
    int is_json;
    struct t3di_step *step; /* (n_steps) */
    size_t n_steps;
    struct t3di_added *added; /* (n_added) sorted */
    size_t n_added;
    struct t3di_trie added_trie[2]; /* of those with normalized = 0 and 1; value: index in added */
    int split_spaces, has_mark, split_marks;
    const char *mark; /* Metaspace's replacement of a space */
    enum t3di_prepend prepend;
    char hash[T3D_SHA256_HEX];
};

struct t3di_text {
    const char *s;
    size_t n;
};

/* Grows in its arena. */
struct t3di_buffer {
    char *s;
    size_t n, capacity;
    struct t3d_arena *arena;
    int failed; /* memory is out */
};
void t3di_put(struct t3di_buffer *b, const char *s, size_t n);

/* Where the best paths are looked for, and what they give. */
struct t3di_node {
    double score;
    int64_t start; /* byte where the best piece that ends here begins; -1 = unreached */
    uint32_t id;
};
struct t3di_search {
    const struct t3d_unigram_tokenizer *t;
    struct t3d_arena *arena;
    struct t3di_node *node;
    uint32_t *id;
    size_t n, id_capacity, node_capacity;
    size_t first; /* bytes of the normalised text that the first character became */
    int failed;
};
void t3di_search_id(struct t3di_search *x, uint32_t id);
/* The pieces of s behind those in x. */
void t3di_search_text(struct t3di_search *x, const char *s, size_t n);

/* Bytes of the longest (or, longest = 0, the shortest) key of the map at s, *to = its replacement;
 * 0 when there is none. */
size_t t3di_map_match(const struct t3d_unigram_tokenizer *t, const char *s, size_t n, int longest,
                      struct t3di_text *to);

/* A text through the steps of a tokenizer.json. */
void t3di_json_tokenize(struct t3di_search *x, const char *text, size_t size);

/* --- loading ---------------------------------------------------------------------------------- */

struct t3di_unigram_loader {
    struct t3d_unigram_tokenizer *t;
    size_t capacity;
    uint32_t n;
    struct t3di_piece *all; /* (n) every piece, by id */
    struct t3d_err *err;
    const char *path;
};

int t3di_unigram_bad(struct t3di_unigram_loader *l, const char *fmt, ...) T3D_PRINTF(2, 3);
int t3di_unigram_add(struct t3di_unigram_loader *l, const struct t3di_piece *p);
/* precompiled_charsmap, n bytes. */
int t3di_unigram_map(struct t3di_unigram_loader *l, const uint8_t *p, size_t n);
int t3di_unigram_json(struct t3di_unigram_loader *l, const char *text, size_t size);

#endif
