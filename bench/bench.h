/* SPDX-License-Identifier: Apache-2.0 */
/* bench/bench.h -- what the commands of t3d-bench share. */
#ifndef T3D_BENCH_BENCH_H
#define T3D_BENCH_BENCH_H

#include "base/tool.h"

/* Options of every command that have no meaning where nothing is kept. */
#define BENCH_UNUSED "rejects redo shard dry-run"

struct t3d_importer;
struct t3d_speed;
struct t3d_speed_row;

/* Opened before there are threads, closed by the command. */
extern struct t3d_importer *bench_importer;
extern int bench_threads;

extern const struct t3d_command bench_speed;      /* times each stage, a row each */
extern const struct t3d_command bench_retrieval;  /* how well a CLIP tells scenes apart */
extern const struct t3d_command bench_captions;   /* how often a generator does what is said */
extern const struct t3d_command bench_t3bench;    /* quality and alignment on prompts */
extern const struct t3d_command bench_stub_judge; /* a judge by written rules */

/* A row of metric/speed.h: one step of the nano generator. */
int bench_train(struct t3d_speed *b, struct t3d_speed_row *row, struct t3d_err *err);
/* From a prompt to a .ply and to a meshed .glb, start included. */
int bench_generate(struct t3d_speed *b, struct t3d_speed_row *row, struct t3d_err *err);
int bench_generate_mesh(struct t3d_speed *b, struct t3d_speed_row *row, struct t3d_err *err);

#endif
