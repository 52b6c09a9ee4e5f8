#!/bin/sh
# SPDX-License-Identifier: MIT
# The lists of cases say what they seem to say: a flag that no model knows would change nothing, and a
# mutant that no list names would never be tried.
# usage: lists.sh SOURCE-ROOT
set -u
root=$1
. "$root/tests/api/tally.sh"
cd "$root/tests/model" || exit 1
short='protocol.txt mutants.txt poller.txt'

# cases FILE... - without comments
cases() {
	cat "$@" | grep -E '^[a-z]'
}

models_know_their_flags() {
	cases $short full.txt | while read -r name want model flags; do
		for flag in $flags; do
			flag=${flag#-D}
			case $flag in COLLAPSE) continue ;; esac # run.sh's
			grep -qwF "${flag%%=*}" "$model" || echo "$name: $model knows no $flag"
		done
		case $want in pass | hang | assert | cycle) ;; *) echo "$name: expects $want" ;; esac
	done | grep . && return 1
	return 0
}
check "models know the flags of their cases" models_know_their_flags

# each_is_tried PREFIX WHAT FILE... - every flag with the prefix is in a case that finds WHAT
each_is_tried() {
	prefix=$1 what=$2 missing=0
	shift 2
	for model in *.pml; do
		flags=$(grep -owE "${prefix}_[A-Z_]+" "$model" | sort -u)
		for flag in $flags; do
			cases "$@" | grep -E " ($what) +$model " | grep -qw -e "-D$flag" ||
				{ echo "$model: $flag is in no case"; missing=1; }
		done
	done
	return "$missing"
}
check "every mutant is in a short list" each_is_tried M 'hang|assert|cycle' $short
check "every variant is in a list" each_is_tried V pass $short full.txt

no_name_twice() {
	for list in $short full.txt; do
		cases "$list" | awk '{ print $1 }' | sort | uniq -d
	done | grep . && return 1
	return 0
}
check "no name is twice in a list" no_name_twice
finish
