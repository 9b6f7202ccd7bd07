/* SPDX-License-Identifier: Apache-2.0 */
/* net/lpips_body.h -- features of two pictures compared, once per instruction set. */
#ifndef T3D_NET_LPIPS_BODY_H
#define T3D_NET_LPIPS_BODY_H

#include "net/lpips_impl.h"
#include "num/cpu/simd.h"

static float total(vec v)
{
    float x[LANES], sum = 0;

    v_store(x, v);
    for (int i = 0; i < LANES; i++)
        sum += x[i];
    return sum;
}

/* What a feature of that squared length is multiplied by. */
static void inverse_lengths(float out[T3D_LPIPS_RULES], float squared)
{
    out[T3D_LPIPS_PACKAGE] = 1 / (sqrtf(squared) + 1e-10f);
    out[T3D_LPIPS_TORCHMETRICS] = 1 / sqrtf(squared + 1e-8f);
}

static void pixels(double sum[T3D_LPIPS_RULES], const float *a, const float *b, const float *head,
                   int64_t n, int64_t channels)
{
    for (int64_t i = 0; i < n; i++, a += channels, b += channels) {
        vec aa = v_set(0), bb = v_set(0);
        float ka[T3D_LPIPS_RULES], kb[T3D_LPIPS_RULES];

        for (int64_t c = 0; c < channels; c += LANES) {
            vec x = v_load(a + c), y = v_load(b + c);

            aa += x * x;
            bb += y * y;
        }
        inverse_lengths(ka, total(aa));
        inverse_lengths(kb, total(bb));
        for (int r = 0; r < T3D_LPIPS_RULES; r++) {
            vec fa = v_set(ka[r]), fb = v_set(kb[r]), s = v_set(0);

            for (int64_t c = 0; c < channels; c += LANES) {
                vec d = v_load(a + c) * fa - v_load(b + c) * fb;

                s += v_load(head + c) * (d * d);
            }
            sum[r] += (double)total(s);
        }
    }
}

#endif
