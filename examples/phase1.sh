#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# phase1.sh WORKSPACE: data preparation, from the lists of public data sets to shards, embeddings and splits.
# The steps are those of the usual recipe: Objaverse-XL, Cap3D, ShapeNet, filter, 20 views, CLIP, splits.
#
# Every step can be interrupted and started again by the same command: nothing is done twice.
#
#   COUNT=1000        objects to take of each of Objaverse and Objaverse-XL; 0 = all, which is 10 million objects
#                     and more than 10 TB: look first, by PLAN=1, which fetches the lists alone and prints objects,
#                     requests, bytes, free disk and time
#   LICENSES=cc0,by,by-sa     only objects with these; "" = any licence, also unknown ones
#   SOURCES=sketchfab,smithsonian,github    of Objaverse-XL
#   SHAPENET=DIR      archives of ShapeNetCore that you were given (it is not fetched: huggingface.co/ShapeNet)
#   MODEL=clip-nano   the network of the embeddings; clip-vit-b32 is fetched (600 MB) when it is named
#   MIN_POLYGONS=1000 MAX_POLYGONS=100000 MIN_TEXTURE_RES=512 RESOLUTION=512
#   REVISION=main     pin a commit of the data sets for a run that can be repeated
#   BASE_URL=URL      a mirror of the hub; FETCH_OPTS="--token-file F --per-host 16 ..." for the rest
set -eu
[ $# -eq 1 ] || {
	sed -n '3,/^set/s/^# \{0,1\}//p' "$0" >&2
	exit 2
}
T3D_WORKSPACE=$1
export T3D_WORKSPACE
mkdir -p "$1"

# Some objects of such lists are always gone or broken: exit status 3 says that, and the manifest says which.
step() {
	printf '\n$ t3d %s\n' "$*" >&2
	t3d "$@" || [ $? -eq 3 ]
}
lists=${FETCH_OPTS:-}
[ -z "${BASE_URL:-}" ] || lists="$lists --base-url $BASE_URL"
lists="$lists --revision ${REVISION:-main}"
wanted="--count ${COUNT:-1000}"
licenses=${LICENSES-cc0,by,by-sa}
[ -z "$licenses" ] || wanted="$wanted --licenses $licenses"
[ -z "${PLAN:-}" ] || wanted="$wanted --dry-run"

# 1. Objaverse 1.0, whose licences are known object by object, and Objaverse-XL
# shellcheck disable=SC2086 # words
step fetch objaverse $wanted $lists
# shellcheck disable=SC2086
step fetch objaverse-xl $wanted $lists --sources "${SOURCES:-sketchfab,smithsonian,github}"
[ -z "${PLAN:-}" ] || exit 0

# 2. Captions of Cap3D, by uid or by SHA-256
# shellcheck disable=SC2086
step fetch cap3d $lists

# 3. ShapeNet
[ -z "${SHAPENET:-}" ] || step fetch local "$SHAPENET" --dataset shapenet

# 4. Quality
step filter --min-polygons "${MIN_POLYGONS:-1000}" --max-polygons "${MAX_POLYGONS:-100000}" \
	--min-texture-res "${MIN_TEXTURE_RES:-512}" --remove-broken-meshes

# 5. 20 views of each object
step render --num-views 20 --resolution "${RESOLUTION:-512}"

# 6. CLIP embeddings
model=${MODEL:-clip-nano}
[ "$model" = clip-nano ] || step fetch weights "$model"
step embed --model "$model"

# 7. Splits
step splits --train 0.8 --val 0.1 --test 0.1
step status
