/* SPDX-License-Identifier: Apache-2.0 */
/* model/sampler.h -- objects from texts with a trained generator.
 *
 *     r = t3d_sampler_open(&s, "runs/turbo3d-nano", &(struct t3d_sampler_options){.threads = 2},
 *                          err);
 *     r = t3d_sampler_run(s, &(struct t3d_sample){"a red cube", .seed = 1}, 1, err);
 *     ... t3d_sampler_gaussians(s, 0, &g) ...
 *     t3d_sampler_close(s);
 *
 * From noise at t = 0, Euler steps of the flow: z += (x - z) dt / (1 - t), where x is what the four
 * cameras see of the Gaussians, or the views themselves; with guidance x = x_null + scale (x_text -
 * x_null) (Ho and Salimans, "Classifier-Free Diffusion Guidance", 2022). What comes out are the
 * Gaussians of the last step, or what the reconstructor in DIR/reconstructor makes of its views;
 * that step need not be at t = 1: none is later than t = 3/4, since training hardly goes there (its
 * times are logit-normal, as in Esser et al., "Scaling Rectified Flow Transformers", 2024), and the
 * first leads to t = 1/4 at least; many steps before or behind cost colours that were right. An
 * object depends on its prompt, its seed, the steps and the guidance alone: not on the others of
 * the call, nor on threads. */
#ifndef T3D_MODEL_SAMPLER_H
#define T3D_MODEL_SAMPLER_H

#include <stddef.h>
#include <stdint.h>

#include "geom/gaussians.h"
#include "model/conditioning.h"
#include "model/generator.h"
#include "num/device.h"

struct t3d_sampler;

struct t3d_sampler_options {
    int threads;                       /* 0 = all */
    int batch;                         /* objects at once; 0 = 1 */
    int steps;                         /* 0 = 4 */
    double guidance;                   /* 0 = 2; 1 = none, and half the work */
    struct t3d_device device;          /* {0}: the processor */
    struct t3d_text_encoders encoders; /* where the networks are that the text comes from, if any */
};

struct t3d_sample {
    const char *prompt; /* any text; one longer than the model takes is cut */
    uint64_t seed;
};

/* dir: what training left: config.json, model.safetensors, vocab.json, merges.txt. T3D_SKIP
 * "missing-file", "bad-config", "bad-weights", "bad-tokenizer" (also when it is not the one that
 * the model was trained with); T3D_USAGE "missing-model", "other-encoder" for the networks that its
 * text comes from. */
int t3d_sampler_open(struct t3d_sampler **out, const char *dir, const struct t3d_sampler_options *o,
                     struct t3d_err *err) T3D_MUST_CHECK;
/* The same of a model that is being trained: its weights are in a built graph; the text stays the
 * caller's. What the head image makes stays views. */
int t3d_sampler_of(struct t3d_sampler **out, struct t3d_conditioning *text,
                   const struct t3d_generator_config *c, struct t3d_graph *weights,
                   const struct t3d_sampler_options *o, struct t3d_err *err) T3D_MUST_CHECK;
void t3d_sampler_close(struct t3d_sampler *s);

const struct t3d_generator_config *t3d_sampler_config(const struct t3d_sampler *s);
const char *
t3d_sampler_hash(const struct t3d_sampler *s); /* SHA-256 of the weights (of both models), hex */
double t3d_sampler_text_bytes(const struct t3d_sampler *s); /* weights of its text encoders */

/* n <= options.batch objects. cut, when not NULL, (n): was the prompt too long. */
int t3d_sampler_run(struct t3d_sampler *s, const struct t3d_sample *sample, int n, int *cut,
                    struct t3d_err *err) T3D_MUST_CHECK;
/* The first word of a prompt that the captions of the training did not have; "" = none, or the text
 * comes from networks that know more words. */
int t3d_sampler_unknown(const struct t3d_sampler *s, const char *prompt, char *word, size_t n,
                        struct t3d_err *err) T3D_MUST_CHECK;
/* The time of step i of n: i / n for up to four steps; with more 0, then evenly from 1/4 to 3/4. */
double t3d_sampler_time(int i, int n);
/* Object i of the last run; borrowed until the next one. */
void t3d_sampler_gaussians(const struct t3d_sampler *s, int i, struct t3d_gaussians *g);
/* What the last step took its input views for: (4, S, S, 4), opaque. */
void t3d_sampler_views(const struct t3d_sampler *s, int i, uint8_t *rgba);

#endif
