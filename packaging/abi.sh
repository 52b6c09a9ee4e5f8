#!/bin/sh
# SPDX-License-Identifier: MIT
# Is the ABI of a library still that of the last release? Or writes down that of a new one.
#
#	what the library exports ─┐                                          packaging/abi/VERSION.abi.gz
#	what the headers say ─────┴─▶ a C file ─▶ an object ─▶ its types ═══════════╪═══▶ a sentence
#
# The C file has a pointer to each exported function, under its name and version, a variable of each
# enum, an enum for each macro that is a number, and type and offset of each member of an option
# struct. So the types are those that a program sees, of which the structs under the inline functions
# are some, and nothing private is; and the library needs no debug information.
#
# usage: abi.sh compare INCLUDE-DIRECTORY LIBRARY.so
#        abi.sh record  INCLUDE-DIRECTORY LIBRARY.so
# Status: 0 compatible, 1 not, 2 could not tell.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
cc=${CC:-cc}

give_up() {
	echo "abi.sh: $*" >&2
	exit 2
}

[ $# = 3 ] || give_up "usage: abi.sh compare|record INCLUDE-DIRECTORY LIBRARY.so"
verb=$1 include=$2 library=$3
for program in abidw abidiff; do
	command -v "$program" >/dev/null || give_up "no $program here: apt-get install abigail-tools"
done
[ -f "$include/peal/peal.h" ] || give_up "$include has no peal/peal.h"
[ -f "$library" ] || give_up "no library $library"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

# functions - each as "name version"
functions() {
	nm -D --defined-only "$library" | sed -n 's/.* T \(peal_[a-z0-9_]*\)@@\(.*\)/\1 \2/p'
}

# macros - the names of those that are numbers
macros() {
	echo '#include <peal/peal.h>' | $cc "-I$include" -dM -E - |
		sed -nE 's/^#define (PEAL_[A-Z0-9_]+) [^"_]*([0-9]+u?|UINT64_C\([0-9xA-Fa-f]+\)|UINT64_MAX)[^"_]*$/\1/p' |
		grep -v '^PEAL_VERSION_' | sort
}

# members - of the option structs, each as "struct member"; what can not be read is no C
members() {
	echo '#include <peal/peal.h>' | $cc "-I$include" -E -P - |
		sed -nE '/^struct peal_[a-z_]+_options \{/,/^};/p' |
		sed -E '/^$/d; /^\};/d; s/^.*;.*;.*$/\t#/; s/^struct (peal_[a-z_]+) \{/\1/; s/^\s.*\(\*([a-z_]+)\)\(.*;$/\t\1/; s/^\s.*[ *]([a-z_]+);$/\t\1/' |
		awk '/^\t[a-z_]+$/ { print struct, $1; next } /^\t/ { print struct, "#" $0; next } { struct = $1 }'
}

writes_the_c_file() {
	echo '#include <stddef.h>'
	echo '#include <peal/peal.h>'
	functions | while read -r name version; do
		echo "__typeof__($name) *const ${name}__$(echo "$version" | tr . _) = $name;"
	done
	sed -nE 's/^enum (peal_[a-z_]+) \{$/enum \1 enum_\1;/p' "$include"/peal/*.h "$include"/peal/detail/*.h
	macros | sed 's/.*/enum macro_& { value_& = (int64_t)& } macro_&;/'
	members | while read -r struct member; do
		echo "__typeof__(((struct $struct *)0)->$member) type_${struct}__$member;"
		echo "enum offset_${struct}__$member { at_${struct}__$member = offsetof(struct $struct, $member) }" \
			"offset_${struct}__$member;"
	done
}

writes_the_c_file >"$work/abi.c"
grep -q '^__typeof__(peal_' "$work/abi.c" || give_up "$library exports no function of Peal with a version"
soname=$(readelf -d "$library" | sed -n 's/.*SONAME.*\[\(.*\)\]/\1/p')
$cc -g -fPIC -shared "-Wl,-soname,$soname" "-I$include" "$work/abi.c" -o "$work/abi.so" ||
	give_up "the headers in $include do not declare what $library exports, or are written in a way not known here"
abidw --no-corpus-path --no-comp-dir-path --no-show-locs --no-parameter-names --no-elf-needed \
	--no-write-default-sizes "$work/abi.so" >"$work/raw" || give_up "abidw failed"
sed "s|path='[^']*'|path='abi.c'|" "$work/raw" >"$work/abi"

if [ "$verb" = record ]; then
	version=$(sed -n "s/^ *version: '\(.*\)',/\1/p" "$here/../meson.build")
	mkdir -p "$here/abi"
	gzip -9n <"$work/abi" >"$here/abi/$version.abi.gz"
	echo "The ABI of $version is in packaging/abi/$version.abi.gz."
	exit
fi
[ "$verb" = compare ] || give_up "'$verb' is neither compare nor record"
last=$(find "$here/abi" -name '*.abi.gz' | sort -V | tail -n 1)
[ -n "$last" ] || give_up "no release was written down in packaging/abi"
release=$(basename "$last" .abi.gz)
gzip -dc "$last" >"$work/last"

# differ ABIDIFF-OPTION... - prints what changed; 0: nothing did
differ() {
	status=0
	abidiff --no-show-locs --no-linkage-name "$@" "$work/last" "$work/abi" || status=$?
	[ $((status & 3)) = 0 ] || give_up "abidiff failed"
	return "$status"
}

# Additions break nobody: functions, enumerators, and members at the end of options, which begin with
# their size.
if ! differ --no-added-syms --suppressions "$here/abi/additions.suppr" >"$work/broken"; then
	cat "$work/broken"
	echo "Incompatible: programs built with $release would break. This needs a new soname, see docs/install.md."
	exit 1
fi
if differ --harmless >"$work/added" && ! grep -q inserted "$work/added"; then
	echo "Compatible: the ABI is that of $release."
else
	cat "$work/added"
	echo "Compatible: the ABI is that of $release and more."
fi
