#!/bin/sh
# SPDX-License-Identifier: MIT
# The sandboxed decoder, built outside the tree from an installed copy: good, damaged and hostile files.
# usage: decoder.sh SOURCE-ROOT BUILD-ROOT CC
set -u
root=$1 build=$2 cc=$3
. "$root/tests/install/stage.sh"

if ! pkg-config --exists libpng libjpeg zlib; then
	skip "the decoder builds" "no libpng, libjpeg or zlib to build with"
	finish
fi
source=$root/examples/sandboxed-decoder

# compile OUTPUT PACKAGES SOURCE... - its guests get no environment, so the way to the library is in it
compile() {
	output=$work/$1 packages=$2
	shift 2
	# shellcheck disable=SC2046,SC2086 # words are meant
	$cc -std=gnu11 -Wall -Wextra -Werror -O2 "$@" -o "$output" $(pkg-config --cflags --libs peal) \
		$(PKG_CONFIG_SYSROOT_DIR='' pkg-config --cflags --libs $packages) "-L$libdir" "-Wl,-rpath,$libdir"
}

host="$source/host.c $source/pool.c $source/start.c $source/guest.c $source/feed.c $source/image.c $source/show.c
	$source/bench/bench.c $source/bench/figures.c $source/bench/outside.c $source/bench/pipes.c"
codec="$source/codec.c $source/decode-png.c $source/decode-jpeg.c $source/misbehave.c"
cage=$root/examples/sandboxed/cage.c

links_no_decoder() {
	readelf -d "$work/decode" | grep -q 'NEEDED.*libpeal\.so\.0' &&
		! readelf -d "$work/decode" | grep -E 'NEEDED.*lib(png|jpeg)'
}

# shellcheck disable=SC2086 # words are meant
{
	check "the host builds" compile decode zlib $host
	check "it builds with a second of processor time for each guest" compile decode-cpu zlib -DGUEST_CPU_S=1 $host
	check "the guest builds" compile decode-plugin 'libpng libjpeg' "$source/plugin.c" $cage $codec
	check "the guest over pipes builds" compile decode-pipes 'libpng libjpeg' "$source/bench/pipes-guest.c" \
		$cage $codec
	check "the decoder without guests builds" compile decode-in-process 'libpng libjpeg zlib' -pthread \
		"$source/bench/in-process.c" $codec
}
check "the host links no decoder" links_no_decoder
if [ "$failed" = 0 ]; then
	PYTHONDONTWRITEBYTECODE=1 PYTHONPATH="$root/tests/command" \
		python3 "$root/tests/install/decoder.py" "$work/decode" "$work/files" || failed=1
fi
finish
