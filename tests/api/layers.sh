#!/bin/sh
# SPDX-License-Identifier: MIT
# The dependency rule of docs/architecture.md:
# base <- ring, doorbell, spawn (which know nothing of each other) <- channel <- poller <- tools.
# usage: layers.sh SOURCE-ROOT
set -u
root=$1
. "$root/tests/api/tally.sh"

# includes_only LAYER ALLOWED-REGEX - internal includes ("layer/file.h") and public ones
includes_only() {
	internal=$(grep -nE '^#include "' "$root/src/$1"/*.[ch] | grep -vE "\"($2)/")
	public=$(grep -nE '^#include <peal/' "$root/src/$1"/*.[ch] | grep -vE "<peal/($3)")
	[ -z "$internal$public" ] || { printf '%s\n%s\n' "$internal" "$public"; false; }
}

check "base includes base alone" includes_only base base 'base\.h>'
check "ring includes base and ring" includes_only ring 'base|ring' '(base|ring|detail/.*)\.h>'
check "doorbell includes base and doorbell" includes_only doorbell 'base|doorbell' '(base|doorbell)\.h>'
check "spawn includes base and spawn" includes_only spawn 'base|spawn' '(base|spawn)\.h>'
check "channel includes what is below it" includes_only channel 'base|ring|doorbell|spawn|channel' \
	'(base|ring|doorbell|spawn|channel)\.h>'
check "poller includes what is below it" includes_only poller 'base|ring|doorbell|spawn|channel|poller' \
	'(base|ring|doorbell|spawn|channel|poller)\.h>'

# The rule is about layers; a folder that no line above names would escape it.
no_other_layers() {
	[ "$(cd "$root/src" && echo */)" = "base/ channel/ doorbell/ poller/ ring/ spawn/" ]
}
check "there is no other layer" no_other_layers

# names_no_private_header - tests of the API and examples see installed headers alone
outside_is_outside() {
	! grep -rnE '#include "(base|ring|doorbell|spawn|channel|poller)/' "$root/examples"
}
check "examples use public headers alone" outside_is_outside
finish
