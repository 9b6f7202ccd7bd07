/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/opt_impl.h"
#include "base/defs.h"

/* Options of other training scripts that are something else here, or nothing: doc/guide.md has the
 * same table with the reasons. A name stands here only for the commands that do not have it. */
static const struct {
    const char *names; /* between spaces */
    const char *advice;
} table[] = {
    {" subset ",
     "'t3d fetch objaverse-xl' has --count, --uids, --licenses, --sources and --formats"},
    {" filter-quality ", "that is a stage of its own, 't3d filter'"},
    {" render-multiview ", "that is a stage of its own, 't3d render'"},
    {" extract-embeddings ", "that is a stage of its own, 't3d embed'"},
    {" create-splits ", "that is a stage of its own, 't3d splits'"},
    {" use-cap3d ", "captions come by 't3d fetch cap3d'"},
    {" captions ", "captions come with the objects: 't3d fetch local --captions FILE'"},
    {" dataset ", "the objects are those of the workspace, -C DIR"},
    {" stage ", "there is one command a stage: 't3d help' lists them"},
    {" checkpoint ", "a run of 't3d train' goes on by the same command (--run NAME); "
                     "'t3d generate' takes a checkpoint"},
    {" gpus nproc-per-node ",
     "training is one process on one device: --device cuda:0, or on the CPU with -j N threads"},
    {" deepspeed-config ",
     "'t3d train' has --gradient-checkpointing, --batch-size and --gradient-accumulation-steps; "
     "its --plan prints the memory"},
    {" mixed-precision precision ",
     "training computes in float32; 't3d train --weights f16' stores the result in half the room"},
    {" use-lora lora-rank ", "there are no adapters: train anew, 't3d train --run NAME'"},
    {" teacher student dual-teacher multiview-teacher singleview-teacher target-latency ",
     "there is no distillation: fewer steps are 't3d generate --num-diffusion-steps N'"},
    {" text-encoder ", "'t3d train --text-encoder' says where a generator's text comes from"},
    {" clip-loss-weight multiview-clip-loss loss-type ",
     "that is score distillation; here the objective is rectified flow on pictures"},
    {" densify-grad-threshold densify-until-iter test-iterations ",
     "that fits Gaussians to one scene; here a network predicts them"},
    {" latent-space-processing architecture ", "the models are feed-forward and work on pixels"},
    {" prompt ", "a prompt is an operand: t3d generate 'a red cube'"},
    {" use-distilled-model ", "name the model: 't3d generate --checkpoint NAME'"},
    {" inference-precision quantize ",
     "networks compute in float32; 't3d train --weights f16' stores them in half the room"},
    {" benchmark ", "make objects of its prompts by 't3d generate --prompts FILE', then "
                    "'t3d evaluate --pred DIR --ref DIR'"},
    {" human-eval annotators ", "people are not asked: 't3d evaluate' measures"},
};

const char *t3di_opt_advice(const char *name)
{
    size_t n = strlen(name);

    for (size_t i = 0; i < T3D_COUNT(table); i++)
        for (const char *at = table[i].names; (at = strstr(at + 1, name)) != NULL;)
            if (at[-1] == ' ' && at[n] == ' ')
                return table[i].advice;
    return NULL;
}
