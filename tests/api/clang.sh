#!/bin/sh
# SPDX-License-Identifier: MIT
# The library compiles with clang too, without a warning.
# usage: clang.sh SOURCE-ROOT
set -u
root=$1
. "$root/tests/api/tally.sh"

compiles() {
	clang -std=gnu11 -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wformat=2 -Werror \
		"-I$root/include" "-I$root/src" -fsyntax-only "$@"
}

if command -v clang >/dev/null; then
	for layer in "$root"/src/*/; do
		layer=${layer%/}
		check "${layer##*/} compiles with clang" compiles "$layer"/*.c
	done
else
	skip "libpeal compiles with clang" "it is not installed"
fi
finish
