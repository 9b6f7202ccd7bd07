#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The examples on small data: a Makefile, and an array of hosts whose parts equal one host's work.
. "$T3D_SOURCE/tests/lib.sh"

t3d -C made fetch primitives --count 24 -q
mkdir models
cp made/objects/*/*.glb models

expect_status 0 'dataset.mk' make -s -f "$T3D_SOURCE/examples/dataset.mk" MODELS=models WORK=one RESOLUTION=32 FILTER=
is "$(jq '.counts | add' one/splits.json)" 24 'every object has a split'
expect_status 0 'again' make -s -f "$T3D_SOURCE/examples/dataset.mk" MODELS=models WORK=one RESOLUTION=32 FILTER=

for i in 0 1 2; do
	SLURM_ARRAY_TASK_ID=$i SLURM_ARRAY_TASK_MIN=0 SLURM_ARRAY_TASK_COUNT=3 RESOLUTION=32
	export SLURM_ARRAY_TASK_ID SLURM_ARRAY_TASK_MIN SLURM_ARRAY_TASK_COUNT RESOLUTION
	expect_status 0 "part $i of the array" "$T3D_SOURCE/examples/slurm-array.sh" models many
done
unset SLURM_ARRAY_TASK_ID SLURM_ARRAY_TASK_MIN SLURM_ARRAY_TASK_COUNT
expect_status 0 'the parts are merged' "$T3D_SOURCE/examples/slurm-array.sh" --merge models many
is "$(cd many/renders && sha256sum ./*/*.tar)" "$(cd one/renders && sha256sum ./*/*.tar)" 'to the shards of one host'
done_testing
