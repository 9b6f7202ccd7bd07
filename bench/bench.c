/* SPDX-License-Identifier: Apache-2.0 */
/* t3d-bench: time the stages on this machine, judge models. */
#include "bench/bench.h"

#include <string.h>

#include "base/openmp.h"
#include "geom/import.h"

struct t3d_importer *bench_importer;
int bench_threads;

static int before(int threads, struct t3d_err *err)
{
    bench_threads = threads;
    return t3d_importer_open(&bench_importer, threads, NULL, err);
}

static const struct t3d_command *const commands[] = {
    &bench_speed, &bench_retrieval, &bench_captions, &bench_t3bench, &bench_stub_judge, NULL};

static const struct t3d_tool tool = {
    .name = "bench",
    .summary = "time the stages on this machine, judge models",
    .about =
        "One JSON object a row on stdout: the work done in one run, its seconds (the median of "
        "five after a warm-up) and the share of each phase. The input is generated, the same "
        "everywhere, unless 3D files are named. Rows: read (parse and measure, one thread, in this "
        "process), import (the same behind the sandbox), render (20 views to a shard, all "
        "threads), png, shards (write; read and decode), manifest (register and claim), fetch; "
        "num, embed, embed-t5, splat, splat-small, splat-batch, train (a step of the nano "
        "generator), generate and generate-mesh (from the start of the program to the file); "
        "evaluate (each input beside itself, all metrics), chamfer, emd, emd-large (8,192 and "
        "16,384 points), sample, iou, pictures (psnr, ssim), lpips, lpips-vgg.\n\n"
        "t3bench makes an object of each prompt, looks at it from 162 sides with five fields of "
        "view, and has a judge say how much of the prompt it shows; a report with a row for each "
        "prompt. A run that was stopped or killed goes on where it was; --dry-run says how many "
        "calls and how much time are left. doc/metrics.md says what the numbers mean.",
    .commands = commands,
    .before = before};

int main(int argc, char **argv)
{
    int at = t3d_first_operand(argc, argv);

    /* Its threads wait for each other often; speed is measured as the other tools run. */
    if (at && strcmp(argv[at], "t3bench") == 0)
        t3d_openmp_share(argv);
    return t3d_tool_main(&tool, argc, argv);
}
