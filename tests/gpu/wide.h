/* SPDX-License-Identifier: Apache-2.0 */
/* Cases that are large enough for what only a device does: several blocks and parts of sums, rows
 * of a whole block, vectors of four, tiles and their rests. The host's own cases stay small. */
#ifndef T3D_TESTS_GPU_WIDE_H
#define T3D_TESTS_GPU_WIDE_H

#include <stddef.h>

#include "num/cpu/op_impl.h"

#define ATTR(type, ...)                                                                            \
    .attr = &(const struct type)                                                                   \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }
#define NORM(eps)       ATTR(t3di_norm_attr, (eps), 0)
#define BINARY(kind)    ATTR(t3di_binary_attr, (kind)), .lo = 0.5, .hi = 2
#define AXIS(...)       ATTR(t3di_axis_attr, __VA_ARGS__)
#define ATTEND(h, c, p) ATTR(t3di_attend_attr, (h), (c), (p), 0)

static const struct {
    const struct t3d_op *op;
    struct t3d_op_case k;
} wide[] = {
    {&t3d_op_matmul,
     {"own loops",
      4,
      {T3D_DIMS(67, 77), T3D_DIMS(70, 77), T3D_DIMS(70), T3D_DIMS(67, 70)},
      ATTR(t3di_matmul_attr, T3DI_N_UNARY)}},
    {&t3d_op_matmul_act,
     {"vectors",
      4,
      {T3D_DIMS(33, 40), T3D_DIMS(72, 40), T3D_DIMS(72), T3D_DIMS(33, 72)},
      ATTR(t3di_matmul_attr, T3DI_GELU_ERF)}},
    {&t3d_op_matmul_act,
     {"gelu tanh, vectors",
      4,
      {T3D_DIMS(3, 11, 16), T3D_DIMS(24, 16), T3D_DIMS(24)},
      ATTR(t3di_matmul_attr, T3DI_GELU_TANH),
      .absent = 8}},
    {&t3d_op_matmul,
     {"deep",
      4,
      {T3D_DIMS(300, 12), T3D_DIMS(8, 12), T3D_DIMS(8)},
      ATTR(t3di_matmul_attr, T3DI_N_UNARY),
      .absent = 8}},
    {&t3d_op_batch_matmul,
     {"own loops", 2, {T3D_DIMS(3, 9, 13), T3D_DIMS(3, 70, 13)}, ATTR(t3di_batch_attr, 1, 0.3)}},
    {&t3d_op_unary[T3DI_SILU],
     {"blocks", 1, {T3D_DIMS(4099)}, ATTR(t3di_unary_attr, T3DI_SILU, 0, 0)}},
    {&t3d_op_unary[T3DI_LINEAR],
     {"blocks", 1, {T3D_DIMS(33, 128)}, ATTR(t3di_unary_attr, T3DI_LINEAR, -1.5, 0.25)}},
    {&t3d_op_binary[T3DI_MUL],
     {"blocks", 2, {T3D_DIMS(9, 260), T3D_DIMS(9, 260)}, BINARY(T3DI_MUL)}},
    {&t3d_op_binary[T3DI_MUL], {"long row", 2, {T3D_DIMS(70, 12), T3D_DIMS(12)}, BINARY(T3DI_MUL)}},
    {&t3d_op_binary[T3DI_DIV],
     {"samples", 2, {T3D_DIMS(3, 17, 8), T3D_DIMS(3, 1, 8)}, BINARY(T3DI_DIV)}},
    {&t3d_op_binary[T3DI_SUB], {"scalar", 2, {T3D_DIMS(2, 2200), T3D_DIMS(1)}, BINARY(T3DI_SUB)}},
    {&t3d_op_binary[T3DI_ADD],
     {"crossed", 2, {T3D_DIMS(3, 1, 8), T3D_DIMS(1, 5, 1)}, BINARY(T3DI_ADD)}},
    {&t3d_op_binary[T3DI_MUL],
     {"five axes", 2, {T3D_DIMS(2, 1, 3, 1, 4), T3D_DIMS(1, 3, 1, 2, 4)}, BINARY(T3DI_MUL)}},
    {&t3d_op_layer_norm,
     {"block rows", 3, {T3D_DIMS(3, 1028), T3D_DIMS(1028), T3D_DIMS(1028)}, NORM(1e-5)}},
    {&t3d_op_layer_norm,
     {"odd block rows", 3, {T3D_DIMS(2, 1031), T3D_DIMS(1031), T3D_DIMS(1031)}, NORM(1e-5)}},
    {&t3d_op_layer_norm, {"parts", 3, {T3D_DIMS(41, 20), T3D_DIMS(20), T3D_DIMS(20)}, NORM(1e-5)}},
    {&t3d_op_rms_norm, {"vectors", 2, {T3D_DIMS(19, 132), T3D_DIMS(132)}, NORM(1e-6)}},
    {&t3d_op_softmax, {"vectors", 1, {T3D_DIMS(11, 60)}, .lo = -4, .hi = 4}},
    {&t3d_op_softmax, {"block rows", 1, {T3D_DIMS(2, 1100)}, .lo = -4, .hi = 4}},
    {&t3d_op_cross_entropy,
     {"block rows", 2, {T3D_DIMS(3, 1050), T3D_DIMS_INT(3)}, .int_below = 1050}},
    {&t3d_op_attend, {"vectors", 5, {T3D_DIMS(3, 18, 96)}, ATTEND(4, 1, 1), .absent = 30}},
    {&t3d_op_attend,
     {"cross",
      5,
      {T3D_DIMS(2, 9, 32), T3D_DIMS(2, 35, 32), T3D_DIMS(2, 35, 32), T3D_DIMS_INT(2, 35)},
      ATTEND(4, 0, 0),
      .absent = 16,
      .int_below = 2}},
    {&t3d_op_attend,
     {"long keys",
      5,
      {T3D_DIMS(1, 2, 8), T3D_DIMS(1, 1030, 8), T3D_DIMS(1, 1030, 8)},
      ATTEND(1, 1, 0),
      .absent = 24}},
    {&t3d_op_losses[T3DI_HUBER],
     {"parts",
      3,
      {T3D_DIMS(3, 3000), T3D_DIMS(3, 3000), T3D_DIMS(3)},
      ATTR(t3di_loss_attr, T3DI_HUBER, 0.8),
      .frozen = 4}},
    {&t3d_op_embedding, {"repeated", 2, {T3D_DIMS(7, 132), T3D_DIMS_INT(3, 30)}, .int_below = 7}},
    {&t3d_op_gather, {"repeated", 2, {T3D_DIMS(2, 6, 5), T3D_DIMS_INT(2, 70)}, .int_below = 6}},
    {&t3d_op_scatter,
     {"vectors", 2, {T3D_DIMS(2, 40, 8), T3D_DIMS_INT(2, 40)}, AXIS(.length = 9), .int_below = 9}},
    {&t3d_op_permute,
     {"tiles", 1, {T3D_DIMS(2, 40, 3, 37)}, ATTR(t3di_permute_attr, {0, 3, 2, 1})}},
    {&t3d_op_permute, {"last two", 1, {T3D_DIMS(3, 33, 64)}, ATTR(t3di_permute_attr, {0, 2, 1})}},
    {&t3d_op_permute, {"heads", 1, {T3D_DIMS(2, 9, 4, 16)}, ATTR(t3di_permute_attr, {0, 2, 1, 3})}},
    {&t3d_op_concat,
     {"vectors", 3, {T3D_DIMS(3, 4, 8), T3D_DIMS(3, 1, 8), T3D_DIMS(3, 2, 8)}, AXIS(.axis = 1)}},
    {&t3d_op_slice, {"vectors", 1, {T3D_DIMS(5, 9, 8)}, AXIS(1, 2, 5, 0)}},
    {&t3d_op_slice, {"unaligned", 1, {T3D_DIMS(5, 21)}, AXIS(1, 3, 16, 0)}},
    {&t3d_op_patchify,
     {"channels last", 1, {T3D_DIMS(2, 16, 8, 4)}, ATTR(t3di_patch_attr, 4, 1, 0, 0)}},
    {&t3d_op_patchify,
     {"channels first", 1, {T3D_DIMS(2, 3, 16, 24)}, ATTR(t3di_patch_attr, 8, 0, 0, 0)}},
    {&t3d_op_unpatchify,
     {"channels first", 1, {T3D_DIMS(2, 6, 192)}, ATTR(t3di_patch_attr, 8, 0, 16, 24)}},
    {&t3d_op_reduce, {"all", 1, {T3D_DIMS(7, 1001)}, AXIS(.axis = -1, .mean = 1)}},
    {&t3d_op_reduce, {"first", 1, {T3D_DIMS(130, 9)}, AXIS(.axis = 0)}},
    {&t3d_op_reduce, {"last", 1, {T3D_DIMS(9, 2100)}, AXIS(.axis = 1, .mean = 1)}},
    {&t3d_op_reduce, {"tokens", 1, {T3D_DIMS(3, 70, 12)}, AXIS(.axis = 1, .mean = 1)}},
    {&t3d_op_reduce, {"of one", 1, {T3D_DIMS(3, 1, 12)}, AXIS(.axis = 1)}},
};

#endif
