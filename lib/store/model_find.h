/* SPDX-License-Identifier: Apache-2.0 */
/* store/model_find.h -- where the weights of a network lie.
 *
 *     r = t3d_model_find(&dir, workspace, "clip-vit-b32", &arena, err);
 *
 * A word with a '/' is the path of a folder. Any other is the name of a model: its folder is
 * <workspace>/models/NAME, where `t3d fetch weights NAME` puts it, or stands among the models that
 * came with the program: ../../models/NAME seen from the program in the build tree,
 * ../share/t3d/models/NAME when installed. The current folder is not looked at. */
#ifndef T3D_STORE_MODEL_FIND_H
#define T3D_STORE_MODEL_FIND_H

#include "base/err.h"

struct t3d_arena;

/* *dir in the arena. T3D_USAGE "missing-model" when there is no such folder: the message says which
 * command gets it; "usage" for a name that is not [A-Za-z0-9._-]{1,128}. */
int t3d_model_find(char **dir, const char *workspace, const char *name_or_dir, struct t3d_arena *a,
                   struct t3d_err *err) T3D_MUST_CHECK;

/* <workspace>/models/NAME, there or not: the place for a model that is fetched. T3D_USAGE for what
 * is not a name. */
int t3d_model_place(char **dir, const char *workspace, const char *name, struct t3d_arena *a,
                    struct t3d_err *err) T3D_MUST_CHECK;

/* The model's name: the last component of a path, NULL when that is not a name ("/", ".."). */
const char *t3d_model_name(const char *name_or_dir, struct t3d_arena *a);

#endif
