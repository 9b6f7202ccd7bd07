/* SPDX-License-Identifier: Apache-2.0 */
/* What to make: prompts from the command line, files and standard input. */
#ifndef GENERATE_GENERATE_PROMPTS_H
#define GENERATE_GENERATE_PROMPTS_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/opt.h"

struct t3d_arena;

struct t3d_request {
    const char *prompt, *uid;
    uint64_t seed;
};

/* The first three are the caller's; item is malloc'd, its texts are in the arena. */
struct t3d_requests {
    struct t3d_arena *arena;
    uint64_t num_samples, seed; /* of each prompt; of those that name none */
    struct t3d_request *item;
    size_t n, capacity;
};

/* file: prompts, or NULL. T3D_USAGE names file and line. Uids are different from each other. */
int t3d_requests_collect(struct t3d_requests *g, const struct t3d_list *operands, const char *file,
                         int use_stdin, struct t3d_err *err) T3D_MUST_CHECK;

#endif
