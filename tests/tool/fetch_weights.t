#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# t3d fetch weights: the catalogue, and what comes from a mirror on loopback.
. "$T3D_SOURCE/tests/lib.sh"

sha() {
	sha256sum "$1" | cut -c1-64
}

expect_status 0 'the catalogue' t3d fetch weights --list
like "$out" '^clip-vit-b32 +about 610 MB  MIT ' 'a model with its size and licence'
like "$out" 'https://huggingface.co/openai/clip-vit-base-patch32/resolve/main/config.json +sha256 unknown' \
	'an address, and no invented hash'
like "$out" 'https://download.pytorch.org/models/vgg16-397923af.pth +sha256 397923af\.\.\.' 'the part of a hash that is known'
expect_status 0 'as NDJSON' t3d fetch weights --list --json
is "$(jq -r 'select(.name == "flan-t5-base") | .license' out)" Apache-2.0 'one object a model'
is "$(jq -s 'map(.name) | (map(select(test("^(clip-vit-(b32|b16|l14|l14-336)|t5-v1_1-(small|base|large)|lpips-(alex|vgg|squeeze))$"))) | length)' out)" 10 'the networks of embed and evaluate are there'
expect_status 2 'an unknown name' t3d fetch weights clip-vit-b23
like "$err" "did you mean 'clip-vit-b32'" 'is guessed'
expect_status 2 'no name' t3d fetch weights

# --- a mirror: t5-small in three files, of which one is optional and one has another name -------------
mkdir -p mirror/google-t5/t5-small/resolve/main mirror/models
dir=mirror/google-t5/t5-small/resolve/main
echo '{"model_type":"t5"}' >$dir/config.json
head -c 30000 /dev/urandom >$dir/spiece.model
head -c 3000000 /dev/urandom >$dir/pytorch_model.bin
mkfifo port
"$T3D_BUILD/aid/serve" -d mirror -t 30 >port &
read -r port <port
base=http://127.0.0.1:$port
get() {
	t3d -C ws fetch weights --allow-net 127.0.0.1 --progress none "$@"
}
expect_status 1 'a private address needs leave' t3d -C ws fetch weights t5-small --base-url "$base/f"
like "$err" 'allow-net' 'and says how'
expect_status 0 'from a mirror' get t5-small --base-url "$base/f"
is "$(ls ws/models/t5-small)" "$(printf 'config.json\npytorch_model.bin\nsource.json\nspiece.model')" 'the files that are there'
for f in config.json spiece.model pytorch_model.bin; do
	is "$(sha ws/models/t5-small/$f)" "$(sha $dir/$f)" "$f is whole"
done
is "$(jq -r '.files[] | select(.name == "spiece.model") | .sha256' ws/models/t5-small/source.json)" \
	"$(sha $dir/spiece.model)" 'source.json has the hash that was got'
is "$(jq -r '.files[0].checked_against' ws/models/t5-small/source.json)" no 'and says that nothing was known to check it'
is "$(find ws/models -name '.*' ! -name .parts | wc -l)" 0 'nothing else is left'
expect_status 0 'again' get t5-small --base-url "$base/f"
like "$err" 'there already' 'asks for nothing'
expect_status 0 'once more on request' get t5-small --base-url "$base/f" --redo

# --- the server breaks off in the middle of each file ------------------------------------------------
rm -rf ws/models
expect_status 0 'a server that breaks off' get t5-small --base-url "$base/s/truncate"
for f in config.json spiece.model pytorch_model.bin; do
	is "$(sha ws/models/t5-small/$f)" "$(sha $dir/$f)" "$f is whole"
done

# --- what is not what it should be -------------------------------------------------------------------
printf 'not the weights' >mirror/models/vgg16-397923af.pth
expect_status 1 'another hash than the catalogue' get lpips-vgg --base-url "$base/f"
like "$err" 'SHA-256|status 404' 'is refused by name'
[ ! -e ws/models/lpips-vgg ]
ok $? 'and not stored'
expect_status 1 'a login page' get flan-t5-small --base-url "$base/s/html-page"
like "$err" 'status 404' 'a repository that is not there'
mkdir -p mirror/google/flan-t5-small/resolve/main
for f in config.json spiece.model; do
	printf '<!DOCTYPE html><html>log in</html>' >mirror/google/flan-t5-small/resolve/main/$f
done
cp $dir/pytorch_model.bin mirror/google/flan-t5-small/resolve/main
expect_status 1 'a page' get flan-t5-small --base-url "$base/f"
like "$err" 'web page' 'is seen'
kill %1 2>/dev/null || kill $!
done_testing
