/* SPDX-License-Identifier: Apache-2.0 */
/* Data sets that cannot be fetched by a program, or may not: what to do instead. */
#include "fetch/fetch.h"

struct conf {
    struct t3d_common common;
};

static const struct t3d_opt opts[] = {{0}};

static int refuse(const char *name, const char *instead, struct t3d_err *err)
{
    return t3d_err_set(err, T3D_USAGE, "usage", "%s is not fetched: %s", name, instead);
}

#define OTHER(ident, label, instead)                                                               \
    static int run_##ident(void *conf, struct t3d_err *err)                                        \
    {                                                                                              \
        (void)conf;                                                                                \
        return refuse(label, instead, err);                                                        \
    }                                                                                              \
    const struct t3d_command fetch_##ident = {.name = label,                                       \
                                              .operands = "[ARGUMENT...]",                         \
                                              .summary = "says how to take this data set",         \
                                              .opts = opts,                                        \
                                              .conf_size = sizeof(struct conf),                    \
                                              .run = run_##ident}

OTHER(shapenet, "shapenet",
      "it is given on request (huggingface.co/datasets/ShapeNet/ShapeNetCore); then 't3d fetch "
      "local SYNSET.zip... --dataset shapenet' takes its archives");
OTHER(modelnet40, "modelnet40",
      "it is for academic use; download ModelNet40.zip from modelnet.cs.princeton.edu, then 't3d "
      "fetch local ModelNet40.zip --dataset modelnet40'");
OTHER(mcb, "mcb",
      "it lies behind pages for people (mechanical-components.herokuapp.com); then 't3d fetch "
      "local DIR --dataset mcb'");
OTHER(abc, "abc",
      "its archives are listed at deep-geometry.github.io/abc-dataset; download abc_*_obj_v00.7z, "
      "then 't3d fetch local abc_0000_obj_v00.7z --dataset abc'");
OTHER(front3d, "3d-front",
      "it is given on request, for research; then 't3d fetch local 3D-FUTURE-model --dataset "
      "3d-front'");
OTHER(sketchfab, "sketchfab",
      "its site wants a login for each object; 't3d fetch objaverse' has 800,000 of them, 't3d "
      "fetch urls' takes addresses that you have");
