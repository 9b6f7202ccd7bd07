#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Rendering on many hosts: each element of a Slurm array works on its share of the objects in a workspace of its own
# (never one manifest on a network file system), and the first workspace takes the parts over.
#
#     sbatch --array=0-15 --cpus-per-task=8 examples/slurm-array.sh MODELS WORK     one part each
#     examples/slurm-array.sh --merge MODELS WORK                                   afterwards, on one host
#SBATCH --time=04:00:00 --signal=B:TERM@60
set -eu
merge=0
[ "$1" != --merge ] || { merge=1; shift; }
models=$1 work=$2

if [ $merge = 0 ]; then
	part=$work/part-$SLURM_ARRAY_TASK_ID
	t3d -C "$part" fetch local "$models" -q
	t3d -C "$part" filter --remove-broken-meshes -q
	exec t3d -C "$part" render --resolution "${RESOLUTION:-512}" --shard auto
fi
t3d -C "$work" fetch local "$models" -q
t3d -C "$work" filter --remove-broken-meshes -q
t3d -C "$work" manifest merge "$work"/part-*
t3d -C "$work" splits
