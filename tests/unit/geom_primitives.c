/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>

#include "base/arena.h"
#include "geom/primitives_impl.h"
#include "geom/read.h"

static struct t3d_arena arena;

static struct t3di_part part(const struct t3di_item *item)
{
    struct t3di_part p;

    assert_int_equal(t3di_part_build(&p, item, &arena, NULL), T3D_OK);
    return p;
}

/* --- shapes ----------------------------------------------------------------------------------- */

static int same(const float a[3], const float b[3])
{
    return a[0] == b[0] && a[1] == b[1] && a[2] == b[2];
}

/* weld[i]: the first vertex at the place of vertex i. */
static uint32_t *weld(const struct t3di_part *p)
{
    uint32_t *w = t3d_alloc(&arena, p->n_vertices, sizeof *w);

    for (uint32_t i = 0; i < p->n_vertices; i++)
        for (w[i] = 0; !same(p->position[w[i]], p->position[i]); w[i]++)
            ;
    return w;
}

/* Every directed edge once, and its opposite once: closed, manifold and consistently wound. */
static void check_closed(const struct t3di_part *p, const char *name)
{
    uint32_t *w = weld(p), n = p->n_vertices;
    uint8_t *edge = t3d_alloc(&arena, (size_t)n * n, 1);

    for (uint32_t t = 0; t < p->n_triangles; t++)
        for (int k = 0; k < 3; k++) {
            uint32_t i = w[p->triangle[t][k]], j = w[p->triangle[t][(k + 1) % 3]];
            if (i == j || edge[(size_t)i * n + j]++)
                fail_msg("%s: triangle %u has a collapsed or doubled edge", name, t);
        }
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t j = 0; j < i; j++)
            if (edge[(size_t)i * n + j] != edge[(size_t)j * n + i])
                fail_msg("%s: the edge %u-%u is open", name, i, j);
}

static double triangle_normal(const struct t3di_part *p, uint32_t t, double n[3])
{
    const float *a = p->position[p->triangle[t][0]], *b = p->position[p->triangle[t][1]],
                *c = p->position[p->triangle[t][2]];
    double u[3], v[3];

    for (int k = 0; k < 3; k++) {
        u[k] = b[k] - a[k];
        v[k] = c[k] - a[k];
    }
    for (int k = 0; k < 3; k++)
        n[k] = u[(k + 1) % 3] * v[(k + 2) % 3] - u[(k + 2) % 3] * v[(k + 1) % 3];
    return (a[0] * n[0] + a[1] * n[1] + a[2] * n[2]) / 6; /* volume of the cone to the origin */
}

/* Vertex normals are unit and close to the triangle's: at most half an arc step plus a little. */
static void check_normals(const struct t3di_part *p, const char *name)
{
    for (uint32_t t = 0; t < p->n_triangles; t++) {
        double n[3], length;
        triangle_normal(p, t, n);
        length = sqrt(n[0] * n[0] + n[1] * n[1] + n[2] * n[2]);
        if (!(length > 1e-7))
            fail_msg("%s: triangle %u has no area", name, t);
        for (int k = 0; k < 3; k++) {
            const float *v = p->normal[p->triangle[t][k]];
            double d = (v[0] * n[0] + v[1] * n[1] + v[2] * n[2]) / length;
            double unit = (double)v[0] * v[0] + (double)v[1] * v[1] + (double)v[2] * v[2];
            if (fabs(unit - 1) > 1e-5 || d < cos(13 * M_PI / 180))
                fail_msg("%s: triangle %u: normal off (%g, %g)", name, t, unit, d);
        }
    }
}

static double volume(const struct t3di_part *p)
{
    double v = 0, n[3];

    for (uint32_t t = 0; t < p->n_triangles; t++)
        v += triangle_normal(p, t, n);
    return v;
}

static void shapes(void **state)
{
    /* Closed forms; the star: ten triangles between radii .55 and .23 at 36 degrees, times depth.
     */
    const double exact[T3DI_SHAPES] = {
        [T3DI_CUBE] = 1,
        [T3DI_SPHERE] = M_PI / 6,
        [T3DI_CYLINDER] = M_PI / 4,
        [T3DI_CONE] = M_PI * .25 * 1.1 / 3,
        [T3DI_TORUS] = 2 * M_PI * M_PI * .34 * .16 * .16,
        [T3DI_PYRAMID] = .3,
        [T3DI_PRISM] = sqrt(3) / 4,
        [T3DI_CAPSULE] = M_PI * (.0625 * .6 + 4 / 3. * .015625),
        [T3DI_TETRAHEDRON] = pow(1.1, 3) / (6 * sqrt(2)),
        [T3DI_RING] = M_PI * (.25 - .16) * .24,
        [T3DI_DOME] = M_PI / 12,
        [T3DI_STAR] = 10 * .5 * .55 * .23 * sin(M_PI / 5) * .3,
    };

    (void)state;
    for (int s = 0; s < T3DI_SHAPES; s++) {
        const struct t3di_shape_info *info = &t3di_shape[s];
        struct t3di_item item = {.shape = s, .scale = 1};
        struct t3di_part p = part(&item);
        double lo = 9, hi = -9, far = 0, half[2], wide[2] = {0, 0};
        check_closed(&p, info->name);
        check_normals(&p, info->name);
        assert_in_range(p.n_triangles, 4, 2000);
        if (fabs(volume(&p) / exact[s] - 1) > (s == T3DI_TORUS ? .025 : .012))
            fail_msg("%s: volume %g, not %g", info->name, volume(&p), exact[s]);
        for (uint32_t i = 0; i < p.n_vertices; i++) {
            lo = fmin(lo, p.position[i][1]);
            hi = fmax(hi, p.position[i][1]);
            far = fmax(far, hypot(p.position[i][0], p.position[i][2]));
            wide[0] = fmax(wide[0], fabs(p.position[i][0]));
            wide[1] = fmax(wide[1], fabs(p.position[i][2]));
        }
        if (fabs(lo) > 1e-6 || fabs(hi - info->height) > 1e-5 ||
            fabs(far - info->circumradius) > 1e-4)
            fail_msg("%s: from %g to %g, radius %g", info->name, lo, hi, far);
        t3di_item_extent(&item, half);
        if (half[0] < wide[0] - 1e-4 || half[1] < wide[1] - 1e-4)
            fail_msg("%s: wider than said", info->name);
        t3d_arena_reset(&arena);
    }
}

/* --- stacking --------------------------------------------------------------------------------- */

/* Crossings of the ray from p upwards: odd = inside. The ray is moved a little off edges. */
static int inside(const struct t3di_part *m, const float p[3])
{
    double x = p[0] + 1.7e-6, z = p[2] + 0.9e-6;
    int n = 0;

    for (uint32_t t = 0; t < m->n_triangles; t++) {
        const float *c[3] = {m->position[m->triangle[t][0]], m->position[m->triangle[t][1]],
                             m->position[m->triangle[t][2]]};
        double w[3], sum = 0, y = 0;
        for (int k = 0; k < 3; k++) {
            const float *a = c[(k + 1) % 3], *b = c[(k + 2) % 3];
            w[k] = (a[0] - x) * (b[2] - z) - (b[0] - x) * (a[2] - z);
            sum += w[k];
            y += w[k] * c[k][1];
        }
        if ((w[0] > 0 && w[1] > 0 && w[2] > 0) || (w[0] < 0 && w[1] < 0 && w[2] < 0))
            n += y / sum > p[1];
    }
    return n & 1;
}

/* Is a vertex of p, or the middle of an edge, inside m? */
static int pierces(const struct t3di_part *p, const struct t3di_part *m)
{
    for (uint32_t t = 0; t < p->n_triangles; t++)
        for (int k = 0; k < 3; k++) {
            const float *a = p->position[p->triangle[t][k]];
            const float *b = p->position[p->triangle[t][(k + 1) % 3]];
            float middle[3] = {(a[0] + b[0]) / 2, (a[1] + b[1]) / 2, (a[2] + b[2]) / 2};
            if (inside(m, a) || inside(m, middle))
                return 1;
        }
    return 0;
}

/* Do they overlap once a is lifted by up? */
static int overlap(struct t3di_part *a, const struct t3di_part *b, float up)
{
    int hit;

    for (uint32_t i = 0; i < a->n_vertices; i++)
        a->position[i][1] += up;
    hit = pierces(a, b) || pierces(b, a);
    for (uint32_t i = 0; i < a->n_vertices; i++)
        a->position[i][1] -= up;
    return hit;
}

static void check_stack(const struct t3di_item *top, const struct t3di_item *bottom)
{
    struct t3di_part a = part(top), b = part(bottom);
    const char *na = t3di_shape[top->shape].name, *nb = t3di_shape[bottom->shape].name;

    if (overlap(&a, &b, 1e-4F))
        fail_msg("%s on %s: they intersect", na, nb);
    if (!overlap(&a, &b, -.025F))
        fail_msg("%s on %s: they do not touch", na, nb);
    for (uint32_t i = 0; i < a.n_vertices; i++)
        assert_true(a.position[i][1] > -1e-6);
    t3d_arena_reset(&arena);
}

static void stacks(void **state)
{
    int n = 0;

    (void)state;
    for (int s = 0; s < T3DI_SHAPES; s++)
        for (int t = 0; t < T3DI_SHAPES; t++) {
            struct t3di_layout l = {.relation = T3DI_ON, .n = 2};
            l.item[0].shape = s;
            l.item[1].shape = t;
            int core = s < T3D_CORE_SHAPES && t < T3D_CORE_SHAPES;
            int stands = t3di_arrange(&l, NULL);
            if (core && !stands)
                fail_msg("%s on %s is refused", t3di_shape[s].name, t3di_shape[t].name);
            for (int k = 0; core && k < 20; k++) { /* and at every size drawn */
                struct t3d_rng r = t3d_rng_for(7, "stack", (uint64_t)k);
                struct t3di_layout varied = l;
                assert_true(t3di_arrange(&varied, &r) > 0);
            }
            if (!stands)
                continue;
            n++;
            check_stack(&l.item[0], &l.item[1]);
        }
    assert_in_range(n, 70, 120);
}

static struct t3di_layout arranged(int relation, int n, int first, int second)
{
    struct t3di_layout l = {.relation = relation, .n = n};
    struct t3d_rng r = t3d_rng_for(3, "arrange", (uint64_t)first);

    l.item[0].shape = first;
    l.item[1].shape = second;
    l.item[2].shape = T3DI_CYLINDER;
    l.item[0].yaw = t3di_shape[first].round ? 0 : .5;
    assert_int_equal(t3di_arrange(&l, &r), T3DI_STABLE);
    return l;
}

/* The range of item i along an axis. */
static void range(const struct t3di_layout *l, int i, int axis, double *lo, double *hi)
{
    struct t3di_part p = part(&l->item[i]);

    *lo = 9;
    *hi = -9;
    for (uint32_t v = 0; v < p.n_vertices; v++) {
        *lo = fmin(*lo, p.position[v][axis]);
        *hi = fmax(*hi, p.position[v][axis]);
    }
}

static void check_order(const struct t3di_layout *l, int before, int after, int axis)
{
    double lo[2], hi[2];

    range(l, before, axis, &lo[0], &hi[0]);
    range(l, after, axis, &lo[1], &hi[1]);
    if (!(hi[0] < lo[1] - .1 && lo[1] - hi[0] < .75))
        fail_msg("relation %d, shapes %d %d: %g..%g, %g..%g", l->relation, l->item[before].shape,
                 l->item[after].shape, lo[0], hi[0], lo[1], hi[1]);
    t3d_arena_reset(&arena);
}

/* As view 0 sees it from +Z: left is -X, behind is -Z. */
static void places(void **state)
{
    (void)state;
    for (int s = 0; s < T3DI_SHAPES; s++) {
        struct t3di_layout l = arranged(T3DI_LEFT, 2, s, T3DI_CUBE);
        check_order(&l, 0, 1, 0);
        l = arranged(T3DI_BEHIND, 2, s, T3DI_CUBE);
        check_order(&l, 0, 1, 2);
        l = arranged(T3DI_FRONT, 2, s, T3DI_CUBE);
        check_order(&l, 1, 0, 2);
        l = arranged(T3DI_ROW, 3, s, T3DI_SPHERE);
        check_order(&l, 0, 1, 0);
        check_order(&l, 1, 2, 0);
        if (s == T3DI_RING)
            continue;
        l = arranged(T3DI_INSIDE, 2, s, T3DI_RING);
        struct t3di_part p = part(&l.item[0]);
        for (uint32_t v = 0; v < p.n_vertices; v++)
            assert_true(hypot(p.position[v][0], p.position[v][2]) < .4 * l.item[1].scale);
        t3d_arena_reset(&arena);
    }
    struct t3di_layout l = arranged(T3DI_ON_LEFT, 3, T3DI_CUBE, T3DI_CYLINDER);
    check_order(&l, 1, 2, 0);
    check_stack(&l.item[0], &l.item[1]);
    l = arranged(T3DI_TOWER, 3, T3DI_CONE, T3DI_CUBE);
    check_stack(&l.item[0], &l.item[1]);
    check_stack(&l.item[1], &l.item[2]);
    l = (struct t3di_layout){.relation = T3DI_BESIDE, .n = 2};
    l.item[0].size = 1;
    l.item[1].size = 2;
    assert_int_equal(t3di_arrange(&l, NULL), T3DI_STABLE);
    assert_true(l.item[1].scale > 2 * l.item[0].scale);
    check_order(&l, 0, 1, 0);
}

/* --- words ------------------------------------------------------------------------------------ */

static void captions(void **state)
{
    struct t3di_layout l = {.relation = T3DI_BESIDE, .n = 2};
    const char **c;
    size_t n;

    (void)state;
    l.item[0] = (struct t3di_item){.shape = T3DI_CUBE, .color = 5, .size = 2};
    l.item[1] = (struct t3di_item){
        .shape = T3DI_SPHERE, .color = T3DI_WHITE, .texture = T3DI_CHECKER, .size = 1};
    assert_int_equal(t3di_captions(&l, &c, &n, &arena), 0);
    assert_string_equal(c[0],
                        "a large orange cube beside a small white and black checkered sphere");
    assert_string_equal(
        c[2], "a large orange block beside a small white ball with a black checker pattern");
    l = (struct t3di_layout){.relation = T3DI_ALONE, .n = 1};
    l.item[0] = (struct t3di_item){.shape = T3DI_CONE, .color = 5, .finish = T3DI_METALLIC};
    assert_int_equal(t3di_captions(&l, &c, &n, &arena), 0);
    assert_string_equal(c[0], "a metallic orange cone");
    assert_string_equal(c[1], "a 3D model of a metallic orange cone");
    assert_string_equal(c[2], "one metallic orange cone");
    l.item[0].finish = T3DI_USUAL;
    assert_int_equal(t3di_captions(&l, &c, &n, &arena), 0);
    assert_string_equal(c[0], "an orange cone");
}

static void core_ids(void **state)
{
    int colour[2], shape[2];

    (void)state;
    assert_int_equal(t3d_primitives_core_kinds(7, colour, shape), 1);
    assert_string_equal(t3d_primitives_color_name(colour[0]), "green");
    assert_string_equal(t3d_primitives_shape_name(shape[0]), "cylinder");
    for (uint32_t id = 0; id < T3D_CORE_COMBINATIONS; id++) {
        const char *text = t3d_primitives_core_caption(id, &arena);
        assert_int_equal(t3d_primitives_core_find(text), id);
    }
    assert_int_equal(t3d_primitives_core_find("a red cube on a blue sphere"), 30 + 0 * 30 + 11);
    assert_int_equal(t3d_primitives_core_find("a red star"), T3D_NOT_CORE);
    assert_null(t3d_primitives_core_caption(930, &arena));
    assert_null(t3d_primitives_color_name(12));
    assert_null(t3d_primitives_shape_name(-1));
    t3d_arena_reset(&arena);
}

/* --- splits ----------------------------------------------------------------------------------- */

static void held_out(void **state)
{
    int n_test = 0, n_val = 0, color_seen[6] = {0}, shape_seen[5] = {0};
    int held_single[2] = {0, 0};

    (void)state;
    for (uint32_t id = 0; id < T3D_CORE_COMBINATIONS; id++) {
        const char *split = t3d_primitives_core_split(id);
        int colour[2], shape[2], n = t3d_primitives_core_kinds(id, colour, shape);
        n_test += strcmp(split, "test") == 0;
        n_val += strcmp(split, "val") == 0;
        held_single[n - 1] += strcmp(split, "test") == 0;
        for (int i = 0; strcmp(split, "train") == 0 && i < n; i++) {
            color_seen[colour[i]]++;
            shape_seen[shape[i]]++;
        }
    }
    assert_in_range(n_test, 93, 186);
    assert_in_range(n_val, 10, 93);
    assert_true(held_single[0] > 0 && held_single[0] < 15);
    for (int i = 0; i < 6; i++)
        assert_true(color_seen[i] > 0);
    for (int i = 0; i < 5; i++)
        assert_true(shape_seen[i] > 0);
}

/* No scene to train on has a held-out pair in its words, nor is it a held-out lone part. */
static void check_no_leak(const struct t3d_primitive_object *o, char (*test)[96], int n)
{
    if (strcmp(o->split, "test") == 0)
        return;
    for (int i = 0; i < n; i++) {
        int pair = strstr(test[i], " on ") != NULL;
        if (pair ? strstr(o->caption[0], test[i]) != NULL : strcmp(o->caption[0], test[i]) == 0)
            fail_msg("'%s' is in %s", o->caption[0], o->split);
    }
}

static void world(void **state)
{
    static char test[T3D_CORE_COMBINATIONS][96];
    uint8_t seen[T3D_CORE_COMBINATIONS] = {0};
    int n_test = 0, n_core = 0, share[3] = {0};
    struct t3d_primitive_object o, again;

    (void)state;
    for (uint32_t id = 0; id < T3D_CORE_COMBINATIONS; id++)
        if (strcmp(t3d_primitives_core_split(id), "test") == 0)
            snprintf(test[n_test++], sizeof *test, "%s", t3d_primitives_core_caption(id, &arena));
    for (uint64_t i = 0; i < 2 * T3D_CORE_COMBINATIONS; i++) {
        t3d_arena_reset(&arena);
        assert_int_equal(t3d_primitives_object(&o, T3D_WORLD_FULL, 5, i, &arena, NULL), T3D_OK);
        assert_true(o.n_captions >= 3);
        share[o.split[1] == 'r' ? 0 : o.split[0] == 'v' ? 1 : 2]++;
        check_no_leak(&o, test, n_test);
        assert_int_equal(o.combination, t3d_primitives_core_find(o.caption[0]));
        if (o.combination != T3D_NOT_CORE)
            assert_string_equal(o.split, t3d_primitives_core_split((uint32_t)o.combination));
        if (i % 2 == 0) {
            assert_true(o.combination >= 0 && !seen[o.combination]);
            seen[o.combination] = 1;
            n_core++;
        }
    }
    assert_int_equal(n_core, T3D_CORE_COMBINATIONS);
    assert_true(share[1] > 30 && share[2] > 150 && share[0] > 1300);
    t3d_arena_reset(&arena);
    assert_int_equal(t3d_primitives_object(&o, T3D_WORLD_FULL, 5, 77, &arena, NULL), T3D_OK);
    assert_int_equal(t3d_primitives_object(&again, T3D_WORLD_FULL, 5, 77, &arena, NULL), T3D_OK);
    assert_string_equal(o.uid, "prim-5-77");
    assert_int_equal(o.glb_size, again.glb_size);
    assert_memory_equal(o.glb, again.glb, o.glb_size);
    assert_int_equal(t3d_primitives_object(&again, T3D_WORLD_FULL, 6, 77, &arena, NULL), T3D_OK);
    assert_true(o.glb_size != again.glb_size || memcmp(o.glb, again.glb, o.glb_size) != 0);
}

static void canonical(void **state)
{
    struct t3d_primitive_object o;
    struct t3d_err err;

    (void)state;
    for (uint32_t id = 0; id < T3D_CORE_COMBINATIONS; id += 31) {
        t3d_arena_reset(&arena);
        assert_int_equal(t3d_primitives_core(&o, id, &arena, NULL), T3D_OK);
        assert_int_equal(o.combination, id);
        assert_string_equal(o.caption[0], t3d_primitives_core_caption(id, &arena));
        assert_string_equal(o.split, t3d_primitives_core_split(id));
    }
    assert_int_equal(t3d_primitives_core(&o, 930, &arena, &err), T3D_USAGE);
    for (uint64_t i = 0; i < 40; i++) {
        assert_int_equal(t3d_primitives_object(&o, T3D_WORLD_CORE, 1, i, &arena, NULL), T3D_OK);
        assert_true(o.combination >= 0);
    }
    assert_string_equal(o.uid, "prim-core-1-39");
}

/* The world of lone parts: each run of 30 has every kind once, in another order. */
static void world_of_one(void **state)
{
    struct t3d_primitive_object o;
    int first[T3D_CORE_KINDS], other = 0;

    (void)state;
    for (uint64_t run = 0; run < 3; run++) {
        int seen[T3D_CORE_KINDS] = {0};

        for (uint64_t i = 0; i < T3D_CORE_KINDS; i++) {
            t3d_arena_reset(&arena);
            assert_int_equal(
                t3d_primitives_object(&o, T3D_WORLD_ONE, 1, run * T3D_CORE_KINDS + i, &arena, NULL),
                T3D_OK);
            assert_in_range(o.combination, 0, T3D_CORE_KINDS - 1);
            assert_int_equal(seen[o.combination]++, 0);
            if (run == 0)
                first[i] = o.combination;
            other += o.combination != first[i];
        }
    }
    assert_true(other > 0);
    assert_string_equal(o.uid, "prim-one-1-89");
}

/* The reader takes the files as plain ones; textures decode and say two colours. */
static void read_back(void **state)
{
    int textured = 0;

    (void)state;
    for (uint64_t i = 0; i < 60; i++) {
        struct t3d_primitive_object o;
        struct t3d_source source = {.name = "x.glb"};
        struct t3d_scene s;
        struct t3d_err err = {0};
        t3d_arena_reset(&arena);
        assert_int_equal(t3d_primitives_object(&o, T3D_WORLD_FULL, 2, i, &arena, NULL), T3D_OK);
        source.data = o.glb;
        source.size = o.glb_size;
        if (t3d_read_gltf(&s, &arena, &source, T3D_READ_PIXELS, &err) != T3D_OK ||
            t3d_scene_check(&s, &err) != T3D_OK)
            fail_msg("%s: %s", o.uid, err.msg);
        assert_int_equal(s.notes.n_bad_primitives, 0);
        assert_in_range(s.n_draws, 1, 3);
        for (uint32_t k = 0; k < s.n_images; k++, textured++) {
            assert_int_equal(s.image[k].state, T3D_PICTURE_OK);
            assert_int_equal(s.image[k].width, 64);
            int others = 0;
            for (int j = 0; j < 64 * 64; j++)
                others += memcmp(s.image[k].pixels, s.image[k].pixels + 4 * j, 3) != 0;
            assert_in_range(others, 64 * 64 / 5, 64 * 64 * 4 / 5);
        }
    }
    assert_true(textured > 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shapes),    cmocka_unit_test(stacks),    cmocka_unit_test(places),
        cmocka_unit_test(captions),  cmocka_unit_test(core_ids),  cmocka_unit_test(held_out),
        cmocka_unit_test(world),     cmocka_unit_test(canonical), cmocka_unit_test(world_of_one),
        cmocka_unit_test(read_back),
    };
    int r = cmocka_run_group_tests(tests, NULL, NULL);

    t3d_arena_free(&arena);
    return r;
}
