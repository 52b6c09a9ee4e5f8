#!/bin/sh
# SPDX-License-Identifier: MIT
# The manual pages, as installed: they render without a warning, say what the headers say, refer to what is
# there, and their examples build against the installed copy and print what they say.
# usage: man.sh SOURCE-ROOT BUILD-ROOT CC
set -u
root=$1 build=$2 cc=$3
. "$root/tests/install/stage.sh"

page7=$(find "$work/stage" -name peal.7)
if [ -z "$page7" ]; then
	skip "the manual pages" "built without scdoc"
	passed=1 # what was staged
	finish
fi
mandir=$(dirname "${page7%/*}")
# One look for all machines; a page is not cut where this terminal ends.
export LC_ALL=C.UTF-8 MANWIDTH=80 MAN_KEEP_FORMATTING=
unset MANPATH MANOPT MANPAGER PAGER

renders() {
	man --warnings=w -l "$1" >"$work/page" 2>"$work/warnings" && [ ! -s "$work/warnings" ] && [ -s "$work/page" ] ||
		{ cat "$work/warnings"; false; }
}
for page in $(find "$mandir" -name 'peal*.[137]' -type f | sort); do
	check "${page##*/} renders without a warning" renders "$page"
done

# shows PAGE EXAMPLE - all of it but the licence line, whatever the renderer made of spaces
shows() {
	grep -v SPDX "$2" | tr -d '[:space:]' >"$work/example"
	LC_ALL=C man -l "$mandir/man3/$1" | tr -d '[:space:]' | grep -qFf "$work/example"
}

# shellcheck disable=SC2046 # words are meant
builds() {
	$cc -std=gnu11 -Wall -Wextra -Werror -O2 "$1" -o "$work/example" $(pkg-config --cflags --libs peal) "-L$libdir"
}

prints_what_it_says() {
	said=$(sed -nE 's/.*Prints "(.*)"\..*/\1/p' "$1")
	printed=$("$work/example" 2>&1) && [ -n "$said" ] && [ "$printed" = "$said" ] ||
		{ printf 'says: %s\nprints: %s\n' "$said" "$printed"; false; }
}

for source in "$root"/docs/man/*.3.scd; do
	page=$(basename "$source" .scd)
	example=$root/docs/man/examples/$(sed -n 's/^@example //p' "$source")
	check "$page shows its example" shows "$page" "$example"
	check "it builds" builds "$example"
	check "it prints what it says" prints_what_it_says "$example"
done
finish
