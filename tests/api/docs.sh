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

# Each step of the protocol stands at its place in the code and is argued in the memory model.
labels_in_both() {
	missing=0
	for label in P0 P1 P2 P3 P4 P5 P6 P7 P8 P9 P10 P11 C0 C1 C2 C3 C3b C3c C4 C5 C6 C7 C8 C9; do
		grep -rqE "\b$label\b" src/ring include/peal/detail || { echo "$label: not in the code"; missing=1; }
		grep -qE "\b$label\b" docs/memory-model.md || { echo "$label: not in the memory model"; missing=1; }
	done
	return "$missing"
}
check "every label is in the code and in the memory model" labels_in_both

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
