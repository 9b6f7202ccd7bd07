/* SPDX-License-Identifier: Apache-2.0 */
/* Where the parts of a scene stand: stacking by contact, and side by side. */
#include <math.h>

#include "geom/primitives_impl.h"

/* The torus' circle and tube, the ring's radii, at scale 1. */
#define TORUS_R   .34
#define TORUS_T   .16
#define RING_IN   .4
#define RING_OUT  .5
#define ROUND_R   .5 /* sphere and dome */
#define GAP       .15
#define CLEARANCE .004 /* of rings over edges that do not fall on their segments */

static double height_of(const struct t3di_item *i)
{
    return i->scale * t3di_shape[i->shape].height;
}

static int is_hollow(int shape)
{
    return shape == T3DI_TORUS || shape == T3DI_RING;
}

/* Tapered shapes: the widest line from foot to tip starts at this radius; 0 for others. */
static double taper(int shape)
{
    return shape == T3DI_CONE          ? .5
           : shape == T3DI_PYRAMID     ? .70711
           : shape == T3DI_TETRAHEDRON ? .63509
                                       : 0;
}

static int rest_on_flat(const struct t3di_item *a, const struct t3di_item *b, double *height)
{
    double room = b->scale * t3di_shape[b->shape].inradius;
    double need = a->scale * (a->shape == T3DI_TORUS     ? TORUS_R
                              : a->shape == T3DI_RING    ? RING_OUT
                              : a->shape == T3DI_CAPSULE ? .35
                              : a->shape == T3DI_STAR    ? .35
                                                         : .4);

    *height = height_of(b);
    return need <= room;
}

/* A torus or ring comes down over a ball: two circles touch, or the inner edge lies on the ball. */
static int hollow_on_ball(const struct t3di_item *a, const struct t3di_item *b, double *height)
{
    double radius = ROUND_R * b->scale, centre = b->shape == T3DI_SPHERE ? radius : 0;
    double reach = radius, edge = RING_IN * a->scale, foot = 0;

    if (a->shape == T3DI_TORUS) {
        edge = TORUS_R * a->scale;
        foot = TORUS_T * a->scale;
        reach += foot;
    }
    if (edge > .85 * reach)
        return 0;
    *height = centre + sqrt(reach * reach - edge * edge) - foot;
    return *height >= 0;
}

/* A torus or ring over a cone or pyramid: the distance of the tube's centre (edge, y) from the line
 * x = base (1 - y / tip) is the tube's radius. */
static int hollow_on_taper(const struct t3di_item *a, const struct t3di_item *b, double *height)
{
    double base = taper(b->shape) * b->scale, tip = height_of(b), slope = base / tip;
    double tube = a->shape == T3DI_TORUS ? TORUS_T * a->scale : 0;
    double edge = (a->shape == T3DI_TORUS ? TORUS_R : RING_IN) * a->scale;
    double y = (tube * sqrt(1 + slope * slope) + base - edge) / slope;

    *height = y - tube + (b->shape == T3DI_CONE ? 0 : CLEARANCE * a->scale);
    return *height >= 0 && y + tube * slope < tip;
}

/* A ball in the hole of a torus or on the inner edge of a ring. */
static int ball_on_hollow(const struct t3di_item *a, const struct t3di_item *b, double *height)
{
    double radius = ROUND_R * a->scale, edge = RING_IN * b->scale, level = height_of(b);
    double reach = radius;

    if (b->shape == T3DI_TORUS) {
        edge = TORUS_R * b->scale;
        level = TORUS_T * b->scale;
        reach += level;
    }
    if (edge > .95 * reach)
        return 0;
    *height = level + sqrt(reach * reach - edge * edge) - radius;
    return *height >= 0;
}

static int hollow_on_hollow(const struct t3di_item *a, const struct t3di_item *b, double *height)
{
    double ra = TORUS_R * a->scale, rb = TORUS_R * b->scale;
    double tubes = TORUS_T * (a->scale + b->scale);
    double in_a = RING_IN * a->scale, out_a = RING_OUT * a->scale;
    double in_b = RING_IN * b->scale, out_b = RING_OUT * b->scale;

    if (a->shape == T3DI_TORUS && b->shape == T3DI_TORUS) {
        if (fabs(ra - rb) > .9 * tubes)
            return 0;
        *height =
            TORUS_T * b->scale + sqrt(tubes * tubes - (ra - rb) * (ra - rb)) - TORUS_T * a->scale;
        return 1;
    }
    *height = height_of(b);
    if (a->shape == T3DI_TORUS)
        return ra > in_b && ra < out_b;
    if (b->shape == T3DI_TORUS)
        return rb > in_a && rb < out_a;
    return in_a < .98 * out_b && in_b < .98 * out_a;
}

/* A flat foot over a hole must cover the edge that carries it. */
static int flat_on_hollow(const struct t3di_item *a, const struct t3di_item *b, double *height)
{
    double edge = (b->shape == T3DI_TORUS ? TORUS_R : RING_IN) * b->scale;

    *height = height_of(b);
    return a->shape != T3DI_STAR && a->shape != T3DI_CAPSULE &&
           a->scale * t3di_shape[a->shape].inradius >= edge;
}

int t3di_rest(const struct t3di_item *a, const struct t3di_item *b, double *height)
{
    int long_foot = a->shape == T3DI_STAR || a->shape == T3DI_CAPSULE;

    switch (b->shape) {
    case T3DI_CUBE:
    case T3DI_CYLINDER:
        return rest_on_flat(a, b, height) ? T3DI_STABLE : 0;
    case T3DI_SPHERE:
    case T3DI_DOME:
        if (is_hollow(a->shape))
            return hollow_on_ball(a, b, height) ? T3DI_STABLE : 0;
        break;
    case T3DI_CONE:
    case T3DI_PYRAMID:
    case T3DI_TETRAHEDRON:
        if (is_hollow(a->shape))
            return hollow_on_taper(a, b, height) ? T3DI_STABLE : 0;
        break;
    case T3DI_TORUS:
    case T3DI_RING:
        return (is_hollow(a->shape)       ? hollow_on_hollow(a, b, height)
                : a->shape == T3DI_SPHERE ? ball_on_hollow(a, b, height)
                                          : flat_on_hollow(a, b, height))
                   ? T3DI_STABLE
                   : 0;
    case T3DI_PRISM:
    case T3DI_CAPSULE:
        if (is_hollow(a->shape))
            return 0;
        break;
    default:
        return 0;
    }
    *height = height_of(b);
    return long_foot ? 0 : T3DI_BALANCED;
}

/* --- arrangements -------------------------------------------------------------------------------
 */

static double vary(struct t3d_rng *r, double low, double high)
{
    return r ? low + (high - low) * t3d_rng_uniform(r) : (low + high) / 2;
}

static int stack(struct t3di_item *top, const struct t3di_item *bottom)
{
    double height;
    int hold = t3di_rest(top, bottom, &height);

    if (!hold)
        return 0;
    top->at[0] = bottom->at[0];
    top->at[1] = bottom->at[1] + height;
    top->at[2] = bottom->at[2];
    return hold;
}

/* From first to last along an axis (0: x, 2: z) in the direction of sign, the whole about 0. */
static void line_up(struct t3di_item **item, int n, int axis, double sign, struct t3d_rng *r)
{
    double half[2], at = 0;

    for (int i = 0; i < n; i++) {
        t3di_item_extent(item[i], half);
        at += half[axis / 2] + (i ? vary(r, GAP, 2 * GAP) : 0);
        item[i]->at[axis] = at;
        at += half[axis / 2];
    }
    for (int i = 0; i < n; i++)
        item[i]->at[axis] = sign * (item[i]->at[axis] - at / 2);
}

static void scale_items(struct t3di_layout *l, struct t3d_rng *r)
{
    int stacked = l->relation == T3DI_ON || l->relation == T3DI_ON_LEFT;

    for (int i = 0; i < l->n; i++) {
        struct t3di_item *m = &l->item[i];
        m->scale = l->relation == T3DI_TOWER ? vary(r, .98, 1.02) * (.7 + .2 * i)
                   : stacked && i == 0       ? vary(r, .71, .79)
                   : m->size == 2            ? vary(r, 1.15, 1.35)
                   : m->size == 1            ? vary(r, .5, .6)
                   : stacked && i == 1       ? 1
                                             : vary(r, .85, 1.15);
    }
    if (l->relation == T3DI_INSIDE) /* the ring is as wide as what stands in it needs */
        l->item[1].scale = l->item[0].scale * t3di_shape[l->item[0].shape].circumradius *
                           vary(r, 1.15, 1.35) / RING_IN;
}

static int arrange_stacked(struct t3di_layout *l, struct t3d_rng *r)
{
    struct t3di_item *a = &l->item[0], *b = &l->item[1], *c = &l->item[2];
    struct t3di_item *pair[2] = {b, c}, wide = *b;
    double top[2], bottom[2];
    int hold = T3DI_STABLE;

    if (l->relation == T3DI_TOWER) {
        hold = stack(b, c);
        if (!hold)
            return 0;
    }
    if (l->relation == T3DI_ON_LEFT) {
        /* The wider of A and B keeps the distance from C. */
        t3di_item_extent(a, top);
        t3di_item_extent(b, bottom);
        if (top[0] > bottom[0]) {
            wide = *a;
            pair[0] = &wide;
        }
        line_up(pair, 2, 0, 1, r);
        b->at[0] = pair[0]->at[0];
    }
    return T3D_MIN(hold, stack(a, b));
}

int t3di_arrange(struct t3di_layout *l, struct t3d_rng *r)
{
    struct t3di_item *item[T3DI_MAX_ITEMS] = {&l->item[0], &l->item[1], &l->item[2]};

    scale_items(l, r);
    for (int i = 0; i < l->n; i++)
        l->item[i].at[0] = l->item[i].at[1] = l->item[i].at[2] = 0;
    switch (l->relation) {
    case T3DI_ON:
    case T3DI_ON_LEFT:
    case T3DI_TOWER:
        return arrange_stacked(l, r);
    case T3DI_LEFT:
    case T3DI_BESIDE:
    case T3DI_ROW:
        line_up(item, l->n, 0, 1, r);
        break;
    case T3DI_BEHIND:
        line_up(item, 2, 2, 1, r);
        break;
    case T3DI_FRONT:
        line_up(item, 2, 2, -1, r);
        break;
    default: /* alone, or inside a ring: both about the axis */
        break;
    }
    return T3DI_STABLE;
}
