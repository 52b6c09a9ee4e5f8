#!/bin/sh
# SPDX-License-Identifier: MIT
# What docs/ name exists: tests, labels of ordered accesses, files.
# usage: docs.sh SOURCE-ROOT
set -u
root=$1
. "$root/tests/api/tally.sh"
cd "$root" || exit 1

# Tests are named in italics, in the threat model: *one_promise, another_promise.*
named_tests_exist() {
	names=$(tr '\n' ' ' <docs/threat-model.md | grep -oE '\*[a-z][a-z0-9_, ]*_[a-z0-9_, ]*\.?\*' |
		grep -oE '[a-z0-9]+(_[a-z0-9]+)+')
	[ "$(echo "$names" | wc -l)" -gt 30 ] || return 1
	missing=0
	for name in $names; do
		grep -rq "START_TEST($name)" tests || { echo "no test $name"; missing=1; }
	done
	return "$missing"
}
check "the tests that the threat model names exist" named_tests_exist

# Each step of the protocol stands at its place in the code, is argued in the memory model, and is searched
# in the model: the same labels everywhere, and no other ones.
labels='C0 C1 C2 C3 C3b C3c C4 C5 C6 C7 C8 C9 P0 P1 P2 P3 P4 P5 P6 P7 P8 P9 P10 P11'

# has_the_labels WORD-TO-IGNORE FILE...
has_the_labels() {
	ignore=$1
	shift
	found=$(grep -rohE '\b[PC][0-9]+[a-z]?\b' "$@" | grep -vx "$ignore" | sort -uV | tr '\n' ' ')
	[ "$found" = "$labels " ] || { echo "found: $found"; false; }
}
check "every label is in the code" has_the_labels none src/ring include/peal/detail
check "every label is in the memory model" has_the_labels C11 docs/memory-model.md
check "every label is in the model that is searched" has_the_labels none tests/model/ring.pml

# Links between the documents.
links_lead_somewhere() {
	missing=0
	for page in README.md docs/*.md; do
		for link in $(grep -oE '\]\([^)#]+' "$page" | sed 's/](//' | grep -v '^http'); do
			[ -e "$(dirname "$page")/$link" ] || { echo "$page: no $link"; missing=1; }
		done
	done
	return "$missing"
}
check "links lead somewhere" links_lead_somewhere
finish
