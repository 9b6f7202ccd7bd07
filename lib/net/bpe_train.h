/* SPDX-License-Identifier: Apache-2.0 */
/* net/bpe_train.h -- make a byte-level BPE vocabulary of CLIP's layout from texts.
 *
 * The symbols are, in this order: the 256 bytes, the 256 bytes that end a word ("</w>"), what each
 * merge makes, <|startoftext|>, <|endoftext|>: the end token has the largest id, as CLIP's pooling
 * wants it. Words are those of net/tokenize_clip.h. Each merge joins the most frequent pair of
 * neighbours (Sennrich, Haddow, Birch: "Neural Machine Translation of Rare Words with Subword
 * Units", 2016, algorithm 1), of equally frequent ones that of the lowest ids; merging ends when
 * the vocabulary is full or no pair is left. The files depend on the texts alone, not on their
 * order. */
#ifndef T3D_NET_BPE_TRAIN_H
#define T3D_NET_BPE_TRAIN_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum { T3D_BPE_MIN = 514, T3D_BPE_MAX = 1024 };

struct t3d_bpe_trainer;

/* size: most entries, T3D_BPE_MIN to T3D_BPE_MAX. */
int t3d_bpe_trainer_new(struct t3d_bpe_trainer **out, uint32_t size,
                        struct t3d_err *err) T3D_MUST_CHECK;
void t3d_bpe_trainer_free(struct t3d_bpe_trainer *t);
/* Count the words of a text. */
int t3d_bpe_trainer_add(struct t3d_bpe_trainer *t, const char *text, size_t size,
                        struct t3d_err *err) T3D_MUST_CHECK;
/* Learn the merges and write DIR/vocab.json and DIR/merges.txt. */
int t3d_bpe_trainer_write(struct t3d_bpe_trainer *t, const char *dir,
                          struct t3d_err *err) T3D_MUST_CHECK;

#endif
