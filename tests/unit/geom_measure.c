/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>

#include "base/arena.h"
#include "base/rng.h"
#include "geom/measure.h"
#include "geom/measure_impl.h"
#include "geom/primitives_impl.h"

static struct t3d_arena arena, scratch;

/* A scene of one draw over arrays in the arena, to be filled by the caller. */
static struct t3d_scene blank(uint32_t vertices, uint32_t triangles)
{
    struct t3d_scene s = {
        .n_vertices = vertices, .n_triangles = triangles, .n_draws = 1, .n_materials = 1};

    s.position = t3d_alloc(&arena, vertices, sizeof *s.position);
    s.triangle = t3d_alloc(&arena, triangles, sizeof *s.triangle);
    s.draw = t3d_alloc(&arena, 2, sizeof *s.draw);
    s.material = t3d_alloc(&arena, 2, sizeof *s.material);
    s.material[0] = s.material[1] = t3d_material_default();
    s.draw[0].n_triangles = triangles;
    s.draw[0].n_vertices = vertices;
    return s;
}

static struct t3d_measures measure(const struct t3d_scene *s)
{
    struct t3d_measures m;
    struct t3d_err err = {0};

    t3d_arena_reset(&scratch);
    if (t3d_measure(&m, s, &scratch, &err) != T3D_OK)
        fail_msg("%s", err.msg);
    return m;
}

static struct t3d_scene shape(int kind, double scale)
{
    struct t3di_item item = {.shape = kind, .scale = scale};
    struct t3di_part p;
    struct t3d_scene s;

    assert_int_equal(t3di_part_build(&p, &item, &arena, NULL), T3D_OK);
    s = blank(p.n_vertices, p.n_triangles);
    memcpy(s.position, p.position, p.n_vertices * sizeof *p.position);
    memcpy(s.triangle, p.triangle, p.n_triangles * sizeof *p.triangle);
    return s;
}

static void near_to(double a, double b, double tolerance)
{
    if (!(fabs(a - b) <= tolerance))
        fail_msg("%.17g is not within %g of %.17g", a, tolerance, b);
}

/* --- closed forms ----------------------------------------------------------------------------- */

static void cube(void **state)
{
    struct t3d_scene s = shape(T3DI_CUBE, 2);
    struct t3d_measures m;

    (void)state;
    for (uint32_t i = 0; i < s.n_vertices; i++)
        s.position[i][0] += 100; /* far from the origin */
    m = measure(&s);
    assert_int_equal(m.triangles, 12);
    assert_int_equal(m.vertices, 24);
    assert_int_equal(m.vertices_welded, 8);
    assert_int_equal(m.components, 1);
    assert_int_equal(m.degenerate + m.duplicate + m.boundary_edges + m.nonmanifold_edges, 0);
    assert_false(m.watertight); /* the sides have vertices of their own */
    assert_true(m.watertight_welded && m.winding_consistent);
    near_to(m.volume, 8, 1e-12);
    near_to(m.area, 24, 1e-12);
    near_to(m.bbox_min[0], 99, 0);
    near_to(m.bbox_max[1], 2, 0);
    near_to(m.radius, sqrt(3), 1e-12);
    near_to(m.extent_ratio, 1, 0);
    s.n_triangles = s.draw[0].n_triangles = 11;
    m = measure(&s);
    near_to(m.volume, 8 - 2 / 3., 1e-12); /* less the cone from the centre to a half side */
    s.n_triangles = s.draw[0].n_triangles = 12;
    for (int k = 0; k < 3; k++) { /* inside out */
        uint32_t t[2] = {s.triangle[k][1], s.triangle[k][2]};
        s.triangle[k][1] = t[1];
        s.triangle[k][2] = t[0];
    }
    m = measure(&s);
    assert_true(m.watertight_welded && !m.winding_consistent);
    s.n_triangles = s.draw[0].n_triangles = 11;
    m = measure(&s);
    assert_int_equal(m.boundary_edges, 3);
    assert_false(m.watertight_welded);
    t3d_arena_reset(&arena);
}

static void nothing(void **state)
{
    struct t3d_scene s = blank(3, 0);
    struct t3d_measures m = measure(&s);

    (void)state;
    assert_int_equal(m.triangles + m.components + m.boundary_edges, 0);
    assert_false(m.watertight || m.watertight_welded);
    near_to(m.radius, 0, 0);
    assert_int_equal(strlen(m.geometry_hash), 64);
    s = blank(3, 1); /* all three corners in one point */
    s.triangle[0][1] = 1;
    s.triangle[0][2] = 2;
    m = measure(&s);
    assert_int_equal(m.degenerate, 1);
    assert_int_equal(m.vertices_welded, 1);
    assert_int_equal(m.components, 1);
    near_to(m.radius, 0, 0);
    near_to(m.extent_ratio, 0, 0);
    t3d_arena_reset(&arena);
}

/* --- against the naive count ------------------------------------------------------------------ */

struct naive {
    uint64_t welded, components, degenerate, duplicate, boundary, nonmanifold;
    int closed, closed_welded, consistent;
};

static int same(const float a[3], const float b[3])
{
    return a[0] == b[0] && a[1] == b[1] && a[2] == b[2];
}

/* How often triangles use the edge i-j, from i to j and from j to i. */
static void uses(const uint32_t (*t)[3], uint32_t n, uint32_t i, uint32_t j, uint64_t use[2])
{
    use[0] = use[1] = 0;
    for (uint32_t k = 0; k < n; k++)
        for (int c = 0; c < 3; c++) {
            use[0] += t[k][c] == i && t[k][(c + 1) % 3] == j;
            use[1] += i != j && t[k][c] == j && t[k][(c + 1) % 3] == i;
        }
}

static int all_twice(const uint32_t (*t)[3], uint32_t n, uint32_t vertices, struct naive *count)
{
    int closed = n > 0;

    for (uint32_t i = 0; i < vertices; i++)
        for (uint32_t j = i; j < vertices; j++) {
            uint64_t use[2];
            uses(t, n, i, j, use);
            uint64_t sum = use[0] + use[1];
            closed &= sum == 0 || sum == 2;
            if (!count)
                continue;
            count->boundary += sum == 1;
            count->nonmanifold += sum > 2;
            count->consistent &= sum != 2 || use[0] == 1;
        }
    return closed;
}

static int same_set(const uint32_t a[3], const uint32_t b[3])
{
    int hits = 0;

    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++)
            hits += a[i] == b[j];
    return hits == 3; /* corners within a triangle differ */
}

static struct naive count(const struct t3d_scene *s)
{
    struct naive c = {.consistent = 1};
    uint32_t id[64], welded[64][3], kept[64][3], n = 0, label[64];

    for (uint32_t i = 0; i < s->n_vertices; i++) {
        for (id[i] = 0; !same(s->position[id[i]], s->position[i]); id[i]++)
            ;
        c.welded += id[i] == i;
    }
    for (uint32_t t = 0; t < s->n_triangles; t++) {
        for (int k = 0; k < 3; k++)
            welded[t][k] = id[s->triangle[t][k]];
        const float *p[3] = {s->position[welded[t][0]], s->position[welded[t][1]],
                             s->position[welded[t][2]]};
        int repeated = welded[t][0] == welded[t][1] || welded[t][1] == welded[t][2] ||
                       welded[t][2] == welded[t][0];
        /* Positions are small integers: zero area exactly when the cross product is. */
        double x[3];
        for (int k = 0; k < 3; k++) {
            int i = (k + 1) % 3, j = (k + 2) % 3;
            x[k] = (p[1][i] - p[0][i]) * (p[2][j] - p[0][j]) -
                   (p[1][j] - p[0][j]) * (p[2][i] - p[0][i]);
        }
        c.degenerate += repeated || (x[0] == 0 && x[1] == 0 && x[2] == 0);
        label[t] = t;
        if (repeated)
            continue;
        memcpy(kept[n++], welded[t], sizeof *kept);
        for (uint32_t k = 0, seen = 0; k + 1 < n; k++)
            if (!seen && same_set(kept[k], kept[n - 1]))
                c.duplicate += seen = 1;
    }
    for (int change = 1; change;) { /* triangles that share a welded corner take the lower label */
        change = 0;
        for (uint32_t t = 0; t < s->n_triangles; t++)
            for (uint32_t u = 0; u < s->n_triangles; u++)
                for (int k = 0; k < 9; k++)
                    if (welded[t][k / 3] == welded[u][k % 3] && label[u] < label[t]) {
                        label[t] = label[u];
                        change = 1;
                    }
    }
    for (uint32_t t = 0; t < s->n_triangles; t++)
        c.components += label[t] == t;
    c.closed = all_twice((const uint32_t(*)[3])s->triangle, s->n_triangles, s->n_vertices, NULL);
    c.closed_welded = all_twice((const uint32_t(*)[3])kept, n, s->n_vertices, &c);
    return c;
}

/* Few vertices on a coarse grid, so that everything that can coincide does. */
static struct t3d_scene soup(struct t3d_rng *r)
{
    uint32_t vertices = 3 + t3d_rng_below(r, 10), triangles = 1 + t3d_rng_below(r, 12);
    struct t3d_scene s = blank(vertices, triangles);
    uint32_t side = 1 + t3d_rng_below(r, 3);

    for (uint32_t i = 0; i < vertices; i++)
        for (int k = 0; k < 3; k++) {
            float x = (float)t3d_rng_below(r, side + 1) - 1;
            s.position[i][k] = x == 0 && t3d_rng_below(r, 2) ? -0.0F : x;
        }
    for (uint32_t t = 0; t < triangles; t++)
        for (int k = 0; k < 3; k++)
            s.triangle[t][k] = t3d_rng_below(r, vertices);
    return s;
}

/* A tetrahedron's faces over shuffled vertices, some doubled: often closed. */
static struct t3d_scene shell(struct t3d_rng *r)
{
    static const uint32_t face[4][3] = {{0, 1, 2}, {0, 3, 1}, {1, 3, 2}, {2, 3, 0}};
    uint32_t n = 1 + t3d_rng_below(r, 3), split = t3d_rng_below(r, 3) == 0;
    struct t3d_scene s = blank(8 * n, 4 * n);

    for (uint32_t i = 0; i < 8 * n; i++)
        for (int k = 0; k < 3; k++) /* vertices 4..7 of each lie on 0..3 */
            s.position[i][k] = (float)(i % 4 == (uint32_t)k + 1) + (float)(i / 8 / 2 * 3);
    for (uint32_t t = 0; t < 4 * n; t++)
        for (int k = 0; k < 3; k++)
            s.triangle[t][k] = t / 4 * 8 + face[t % 4][k] + 4 * (split && t3d_rng_below(r, 4) == 0);
    if (t3d_rng_below(r, 4) == 0) {
        uint32_t *t = s.triangle[t3d_rng_below(r, 4 * n)], swap = t[0];
        t[0] = t[1];
        t[1] = swap;
    }
    return s;
}

static void random_meshes(void **state)
{
    struct t3d_rng r = t3d_rng_for(1, "measure", 0);
    int closed = 0, closed_welded = 0, doubled = 0;

    (void)state;
    for (int i = 0; i < 4000; i++) {
        struct t3d_scene s = i % 4 ? soup(&r) : shell(&r);
        struct t3d_measures m = measure(&s);
        struct naive c = count(&s);
        if (m.vertices_welded != c.welded || m.components != c.components ||
            m.degenerate != c.degenerate || m.duplicate != c.duplicate)
            fail_msg("case %d: welded %u components %u degenerate %u duplicate %u, not %u %u %u %u",
                     i, (unsigned)m.vertices_welded, (unsigned)m.components, (unsigned)m.degenerate,
                     (unsigned)m.duplicate, (unsigned)c.welded, (unsigned)c.components,
                     (unsigned)c.degenerate, (unsigned)c.duplicate);
        if (m.boundary_edges != c.boundary || m.nonmanifold_edges != c.nonmanifold ||
            m.watertight != c.closed || m.watertight_welded != c.closed_welded ||
            m.winding_consistent != c.consistent)
            fail_msg("case %d: edges %u %u, closed %d %d, winding %d, not %u %u %d %d %d", i,
                     (unsigned)m.boundary_edges, (unsigned)m.nonmanifold_edges, m.watertight,
                     m.watertight_welded, m.winding_consistent, (unsigned)c.boundary,
                     (unsigned)c.nonmanifold, c.closed, c.closed_welded, c.consistent);
        closed += m.watertight;
        closed_welded += m.watertight_welded && !m.watertight;
        doubled += m.duplicate > 0;
        t3d_arena_reset(&arena);
    }
    assert_true(closed > 100 && closed_welded > 30 && doubled > 100); /* the cases do occur */
}

/* Every triangle at one vertex: the groups are as large as they can be. */
static void fan(void **state)
{
    enum { N = 50000 };
    struct t3d_scene s = blank(N + 1, N);
    struct t3d_measures m;

    (void)state;
    for (uint32_t i = 0; i < N; i++) {
        uint32_t j = (uint32_t)((uint64_t)i * 7919 % N); /* out of order */
        s.position[i + 1][0] = (float)cos(2 * M_PI * i / N);
        s.position[i + 1][2] = (float)sin(2 * M_PI * i / N);
        s.triangle[j][1] = 1 + (i + 1) % N;
        s.triangle[j][2] = 1 + i;
    }
    m = measure(&s);
    assert_int_equal(m.boundary_edges, N);
    assert_int_equal(m.nonmanifold_edges + m.duplicate + m.degenerate, 0);
    assert_int_equal(m.components, 1);
    assert_true(m.winding_consistent);
    near_to(m.area, M_PI, 1e-5);
    t3d_arena_reset(&arena);
}

static int compare_u64(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

static void sorting(void **state)
{
    struct t3d_rng r = t3d_rng_for(2, "sort", 0);
    uint64_t v[1000], w[1000], spare[1000];

    (void)state;
    for (int bits = 1; bits <= 64; bits += 7) {
        for (int i = 0; i < 1000; i++)
            v[i] = w[i] = t3d_rng_u64(&r) >> (64 - bits);
        t3di_sort_u64(v, spare, 1000);
        qsort(w, 1000, sizeof *w, compare_u64);
        assert_memory_equal(v, w, sizeof v);
    }
    t3di_sort_u64(v, spare, 0);
}

/* --- the geometry hash ------------------------------------------------------------------------ */

/* The same triangles in another file: other order of triangles, corners and vertices, nothing
 * shared, another place and size, half of them turned over. */
static struct t3d_scene exported_again(const struct t3d_scene *s, struct t3d_rng *r)
{
    uint32_t n = s->n_triangles;
    struct t3d_scene o = blank(3 * n + 5, n + 1);
    uint32_t *order = t3d_alloc(&arena, n, sizeof *order);

    for (uint32_t i = 0; i < n; i++) {
        uint32_t j = t3d_rng_below(r, i + 1);
        order[i] = order[j];
        order[j] = i;
    }
    for (uint32_t i = 0; i < n; i++) {
        uint32_t turn = t3d_rng_below(r, 3), flip = t3d_rng_below(r, 2);
        for (uint32_t k = 0; k < 3; k++) {
            uint32_t corner = (turn + (flip ? 3 - k : k)) % 3;
            const float *p = s->position[s->triangle[order[i]][corner]];
            for (int c = 0; c < 3; c++)
                o.position[3 * i + k][c] = 4 * p[c] + 32 * (c == 1);
            o.triangle[i][k] = 3 * i + k;
        }
    }
    o.triangle[n][0] = o.triangle[n][1] = 1; /* a collapsed one more */
    return o;
}

static void geometry_hash(void **state)
{
    struct t3d_rng r = t3d_rng_for(3, "hash", 0);
    char seen[T3DI_SHAPES][65];

    (void)state;
    for (int k = 0; k < T3DI_SHAPES; k++) {
        struct t3d_scene s = shape(k, 1), o;
        /* On a grid that survives the shift exactly. */
        for (uint32_t i = 0; i < s.n_vertices; i++)
            for (int c = 0; c < 3; c++)
                s.position[i][c] = (float)(nearbyint(s.position[i][c] * 65536) / 65536);
        struct t3d_measures m = measure(&s), again;
        o = exported_again(&s, &r);
        again = measure(&o);
        assert_string_equal(again.geometry_hash, m.geometry_hash);
        for (int j = 0; j < k; j++)
            assert_string_not_equal(m.geometry_hash, seen[j]);
        memcpy(seen[k], m.geometry_hash, 65);
        s.position[s.triangle[1][0]][2] += .001F;
        m = measure(&s);
        assert_string_not_equal(m.geometry_hash, seen[k]);
        t3d_arena_reset(&arena);
    }
    /* Noise far below the grid's step changes nothing where positions lie on the grid. */
    struct t3d_scene s = blank(6, 8);
    for (uint32_t t = 0; t < 8; t++)
        for (uint32_t k = 0; k < 3; k++)
            s.triangle[t][k] = 2 * k + (t >> k & 1);
    for (int noise = 0; noise < 20; noise++) {
        for (uint32_t i = 0; i < 6; i++)
            for (uint32_t k = 0; k < 3; k++)
                s.position[i][k] = (i / 2 == k ? (i % 2 ? -1 : 1) : 0) +
                                   (noise ? ((float)t3d_rng_uniform(&r) - .5F) * 1e-5F : 0);
        struct t3d_measures m = measure(&s);
        if (noise)
            assert_string_equal(m.geometry_hash, seen[0]);
        memcpy(seen[0], m.geometry_hash, 65);
    }
    s = shape(T3DI_STAR, 1); /* a part less is another shape */
    s.draw[0].n_triangles = --s.n_triangles;
    struct t3d_measures m = measure(&s);
    assert_string_not_equal(m.geometry_hash, seen[T3DI_STAR]);
    t3d_arena_reset(&arena);
}

/* --- materials, textures, uv ------------------------------------------------------------------ */

static void textures(void **state)
{
    struct t3d_scene s = shape(T3DI_CUBE, 1);
    struct t3d_picture image[6] = {
        {.width = 128, .height = 256},      {.width = 512, .height = 64},
        {.width = 1024, .height = 2048},    {.state = T3D_PICTURE_MISSING},
        {.state = T3D_PICTURE_UNSUPPORTED}, {.state = T3D_PICTURE_BAD}};
    struct t3d_measures m;

    (void)state;
    s.draw[0].n_triangles = 6;
    s.draw[1] = s.draw[0];
    s.draw[1].first_triangle = 6;
    s.draw[1].material = 1;
    s.n_draws = s.n_materials = 2;
    s.image = image;
    s.n_images = 6;
    s.material[0].texture[T3D_TEX_BASE].image = 0;
    s.material[0].texture[T3D_TEX_OCCLUSION].image = 3;
    s.material[0].texture[T3D_TEX_EMISSIVE].image = 3;
    s.material[1].texture[T3D_TEX_BASE].image = 1;
    s.material[1].texture[T3D_TEX_NORMAL].image = 2;
    s.material[1].texture[T3D_TEX_EMISSIVE].image = 4;
    s.material[1].alpha_mode = T3D_ALPHA_MASK;
    s.draw[1].flags = T3D_HAS_COLOR | T3D_HAS_NORMAL | T3D_HAS_UV0;
    s.uv[0] = t3d_alloc(&arena, s.n_vertices, sizeof *s.uv[0]);
    for (uint32_t i = 0; i < s.n_vertices; i++) /* each side over the square, but two sides flat */
        for (int k = 0; k < 2; k++)
            s.uv[0][i][k] = k && i >= 16 ? .5F : (float)(k ? i / 2 % 2 : (i + 1) / 2 % 2);
    m = measure(&s);
    assert_int_equal(m.materials, 2);
    assert_int_equal(m.draws, 2);
    assert_int_equal(m.images, 6);
    assert_int_equal(m.base_width, 128); /* the larger shorter side */
    assert_int_equal(m.base_height, 256);
    assert_int_equal(m.max_texture, 2048);
    assert_int_equal(m.missing_textures, 1);
    assert_int_equal(m.bad_textures, 1);
    assert_true(m.alpha_mask && !m.alpha_blend);
    assert_true(m.has_vertex_colors && m.has_normals && m.has_uv);
    near_to(m.uv_coverage, 1 / 6., 1e-6); /* one side of six: the second draw's unflattened one */
    s.draw[1].n_triangles = 0;            /* a material out of use does not count */
    m = measure(&s);
    assert_int_equal(m.base_width, 128);
    assert_int_equal(m.max_texture, 256);
    assert_int_equal(m.bad_textures, 0);
    assert_false(m.alpha_mask || m.has_uv);
    t3d_arena_reset(&arena);
}

static void json(void **state)
{
    struct t3d_scene s = shape(T3DI_CUBE, 1);
    struct t3d_measures m;
    cJSON *o;

    (void)state;
    s.notes.n_skins = 3;
    snprintf(s.notes.format, sizeof s.notes.format, "glb");
    m = measure(&s);
    o = t3d_measures_json(&m);
    assert_true(cJSON_GetObjectItem(o, "triangles")->valuedouble == 12);
    assert_true(cJSON_IsTrue(cJSON_GetObjectItem(o, "watertight_welded")));
    assert_true(cJSON_IsFalse(cJSON_GetObjectItem(o, "watertight")));
    near_to(cJSON_GetObjectItem(o, "area")->valuedouble, 6, 1e-12);
    near_to(cJSON_GetArrayItem(cJSON_GetObjectItem(o, "bbox_max"), 1)->valuedouble, 1, 0);
    assert_string_equal(cJSON_GetObjectItem(o, "geometry_hash")->valuestring, m.geometry_hash);
    assert_true(cJSON_GetObjectItem(o, "n_skins")->valuedouble == 3);
    assert_string_equal(cJSON_GetObjectItem(o, "format")->valuestring, "glb");
    cJSON_Delete(o);
    t3d_arena_reset(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cube),     cmocka_unit_test(nothing), cmocka_unit_test(random_meshes),
        cmocka_unit_test(fan),      cmocka_unit_test(sorting), cmocka_unit_test(geometry_hash),
        cmocka_unit_test(textures), cmocka_unit_test(json),
    };
    int r = cmocka_run_group_tests(tests, NULL, NULL);

    t3d_arena_free(&arena);
    t3d_arena_free(&scratch);
    return r;
}
