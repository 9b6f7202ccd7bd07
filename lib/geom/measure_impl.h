/* SPDX-License-Identifier: Apache-2.0 */
/* geom/measure_impl.h -- the parts of geom/measure.h: welding, grouping by keys, topology, hash. */
#ifndef T3D_GEOM_MEASURE_IMPL_H
#define T3D_GEOM_MEASURE_IMPL_H

#include "geom/measure.h"

/* Vertices at one place (bitwise, -0 = +0) share an id; ids count places by first appearance. */
struct t3di_weld {
    uint32_t n;      /* places */
    uint32_t *id;    /* (n_vertices) */
    uint32_t *first; /* (n) a vertex there */
};
int t3di_weld_scene(struct t3di_weld *w, const struct t3d_scene *s, struct t3d_arena *a,
                    struct t3d_err *err) T3D_MUST_CHECK;

/* Values in groups by key, each group sorted: a counting sort, linear for any input.
 *
 *     t3di_groups_begin; count in start[key + 2]; t3di_groups_sum;
 *     value[start[key + 1]++] = v for each; t3di_groups_sort;
 *     group k is value[start[k]] ... value[start[k + 1] - 1]
 *
 * One set of buffers, made for the most keys and values, serves all the sorting of an object. */
struct t3di_groups {
    uint32_t n_keys;
    uint32_t *start; /* (most_keys + 2) */
    uint64_t *value; /* (most_values) */
};
int t3di_groups_init(struct t3di_groups *g, uint32_t most_keys, size_t most_values,
                     struct t3d_arena *a, struct t3d_err *err) T3D_MUST_CHECK;
void t3di_groups_begin(struct t3di_groups *g, uint32_t n_keys);
void t3di_groups_sum(struct t3di_groups *g);
int t3di_groups_sort(struct t3di_groups *g, struct t3d_arena *a,
                     struct t3d_err *err) T3D_MUST_CHECK;

/* Ascending, by the bytes of the values, least significant first; spare has room for n. */
void t3di_sort_u64(uint64_t *v, uint64_t *spare, size_t n);

/* geometry_hash of measure.h; n with scale 0 for objects without extent. */
int t3di_geometry_hash(char hex[65], const struct t3d_scene *s, const struct t3d_normalisation *n,
                       const struct t3di_weld *w, struct t3di_groups *g, struct t3d_arena *a,
                       struct t3d_err *err) T3D_MUST_CHECK;

/* Components, duplicates, edges and watertightness. collapsed: (n_triangles)
 * 1 = a corner is repeated; such are left out. */
int t3di_topology(struct t3d_measures *m, const struct t3d_scene *s, const struct t3di_weld *w,
                  const uint8_t *collapsed, struct t3di_groups *g, struct t3d_arena *a,
                  struct t3d_err *err) T3D_MUST_CHECK;

#endif
