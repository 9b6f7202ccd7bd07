# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# Weights made up: a network that LPIPS knows, small enough for a test. A list has a tensor a line, its name and its shape.

# squeezenet: the list of SqueezeNet 1.1's tensors.
squeezenet() {
	echo features.0.weight 64 3 3 3
	echo features.0.bias 64
	echo '3 64 16 64
4 128 16 64
6 128 32 128
7 256 32 128
9 256 48 192
10 384 48 192
11 384 64 256
12 512 64 256' | while read -r at in squeeze expand; do
		echo "features.$at.squeeze.weight $squeeze $in 1 1"
		echo "features.$at.squeeze.bias $squeeze"
		echo "features.$at.expand1x1.weight $expand $squeeze 1 1"
		echo "features.$at.expand1x1.bias $expand"
		echo "features.$at.expand3x3.weight $expand $squeeze 3 3"
		echo "features.$at.expand3x3.bias $expand"
	done
}
# squeezenet_heads: that of its heads of LPIPS.
squeezenet_heads() {
	i=0
	for c in 64 128 256 384 384 512 512; do
		echo "lin$i.model.1.weight 1 $c 1 1"
		i=$((i + 1))
	done
}
# safetensors FILE BLOCK: of the list on standard input, with the bytes of BLOCK (for printf) over and over.
safetensors() {
	awk '{
		n = 4; shape = ""
		for (i = 2; i <= NF; i++) { n *= $i; shape = shape (i == 2 ? "" : ",") $i }
		printf "%s\"%s\":{\"dtype\":\"F32\",\"shape\":[%s],\"data_offsets\":[%d,%d]}", NR == 1 ? "{" : ",", $1, shape, at, at + n
		at += n
	} END { printf "}"; print at >"bytes" }' >header
	while [ $(($(wc -c <header) % 8)) -ne 0 ]; do printf ' ' >>header; done
	n=$(wc -c <header)
	# shellcheck disable=SC2059 # bytes by number
	printf "$2" >block
	while [ "$(wc -c <block)" -lt "$(cat bytes)" ]; do cat block block >block2 && mv block2 block; done
	{
		# shellcheck disable=SC2059 # the length, 8 bytes from the lowest on
		printf "\\$(printf %03o $((n % 256)))\\$(printf %03o $((n / 256)))\\0\\0\\0\\0\\0\\0"
		cat header
		head -c "$(cat bytes)" block
	} >"$1"
}
