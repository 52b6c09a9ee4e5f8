#!/bin/sh
# SPDX-License-Identifier: MIT
# Law 5, in the machine code: committing and releasing contain no fence, no locked instruction and
# no call but the jumps into the cold half.
# usage: hot-path.sh SOURCE-ROOT LIBRARY.so
set -u
root=$1 library=$2
. "$root/tests/api/tally.sh"

case $(uname -m) in
x86_64) ;;
*)
	skip "hot path" "the patterns here are of x86-64 instructions"
	finish
	;;
esac

code_of() {
	objdump -d --no-show-raw-insn "--disassemble=$1" "$library" | sed -n "/<$1>:/,/^\$/p"
}

hot() {
	code=$(code_of "$1")
	# An empty listing would pass everything.
	[ "$(printf '%s\n' "$code" | wc -l)" -gt 5 ] || { echo "no code found"; return 1; }
	! printf '%s\n' "$code" | grep -E 'fence|lock |xchg .*\(|syscall|cpuid|call '
}

for function in peal_reserve peal_commit peal_stage peal_publish peal_next peal_release \
	peal_release_to; do
	check "$function has no fence, lock, or call" hot "$function"
done

# The proof that the search can fail: the cold half of waking has the fence of fence mode.
finds_a_fence() {
	code_of peal_wake_peer | grep -E 'mfence|lock '
}
check "a fence would be found" finds_a_fence
finish
