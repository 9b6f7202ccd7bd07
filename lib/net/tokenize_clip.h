/* SPDX-License-Identifier: Apache-2.0 */
/* net/tokenize_clip.h -- CLIP's byte-level BPE.
 *
 *     struct t3d_clip_tokenizer *t;
 *     r = t3d_clip_tokenizer_open(&t, "clip-vit-base-patch32", err);
 *     r = t3d_clip_tokenize(&tokens, t, text, strlen(text), 77, arena, err);
 *     ... tokens.id[0 .. tokens.n - 1] ...
 *     t3d_clip_tokenizer_free(t);
 *
 * The text is cleaned as the library of the folder cleans it (enum t3d_cleaning); then the pattern
 * 's|'t|'re|'ve|'m|'ll|'d|\p{L}+|\p{N}|[^\s\p{L}\p{N}]+, and BPE over the UTF-8 bytes of each match
 * with "</w>" on the last.
 *
 * A special token spelled out in the text is ordinary text here: a caption cannot end a sequence.
 * Bytes that are not UTF-8 count as U+FFFD each. */
#ifndef T3D_NET_TOKENIZE_CLIP_H
#define T3D_NET_TOKENIZE_CLIP_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct t3d_arena;
struct t3d_clip_tokenizer;

struct t3d_tokens {
    uint32_t *id; /* (n) in the arena: start, text, end */
    size_t n;
    int truncated; /* the text had more tokens: the last kept is the end token */
};

/* path is a folder with tokenizer.json or with vocab.json and merges.txt, one of the two .json
 * files, or open_clip's list of merges (bpe_simple_vocab_16e6.txt or .txt.gz, or one that begins
 * with a line that is passed over). T3D_SKIP "bad-tokenizer" names what is wrong; "missing-file".
 */
int t3d_clip_tokenizer_open(struct t3d_clip_tokenizer **out, const char *path,
                            struct t3d_err *err) T3D_MUST_CHECK;
void t3d_clip_tokenizer_free(struct t3d_clip_tokenizer *t);

/* What happens to a text before it is cut into words. The two differ on entities, curly quotes,
 * ligatures, full-width forms and control characters. */
enum t3d_cleaning {
    T3D_CLEANING_TRANSFORMERS, /* the CLIPTokenizer of transformers: NFC, white space, lower case */
    T3D_CLEANING_OPEN_CLIP     /* net/clean.h: ftfy without its repair of mojibake, HTML entities */
};
/* Before the first text; T3D_CLEANING_TRANSFORMERS if it is not called. */
void t3d_clip_tokenizer_clean_as(struct t3d_clip_tokenizer *t, enum t3d_cleaning cleaning);

/* Ids are below this; the start and the end token; the SHA-256 of the files that were read, as hex,
 * borrowed. */
uint32_t t3d_clip_tokenizer_size(const struct t3d_clip_tokenizer *t);
uint32_t t3d_clip_tokenizer_start(const struct t3d_clip_tokenizer *t);
uint32_t t3d_clip_tokenizer_end(const struct t3d_clip_tokenizer *t);
const char *t3d_clip_tokenizer_hash(const struct t3d_clip_tokenizer *t);

/* At most max (>= 2) tokens; every text is valid, the empty one gives start and end. The arena also
 * serves as scratch. T3D_FAIL when memory is out. */
int t3d_clip_tokenize(struct t3d_tokens *out, const struct t3d_clip_tokenizer *t, const char *text,
                      size_t size, size_t max, struct t3d_arena *a,
                      struct t3d_err *err) T3D_MUST_CHECK;

/* The matches of the pattern in a text (see above), in order, as UTF-8; an error from each stops.
 * The arena is scratch. */
int t3d_clip_words(const char *text, size_t size,
                   int (*each)(void *ctx, const char *word, size_t n, struct t3d_err *err),
                   void *ctx, struct t3d_arena *a, struct t3d_err *err) T3D_MUST_CHECK;

#endif
