#!/bin/sh
# SPDX-License-Identifier: MIT
# Builds the Debian packages, source and binary, from this tree: a release's tar file is made, unpacked
# beside it and built there, so that what lies about in the tree counts for nothing.
# usage: build.sh OUTPUT-DIRECTORY
set -eu
[ $# = 1 ] || { echo "usage: build.sh OUTPUT-DIRECTORY" >&2; exit 2; }
root=$(cd "$(dirname "$0")/../.." && pwd)
mkdir -p "$1"
output=$(cd "$1" && pwd)

# Debian's own programs, its Python above all, which knows where Debian keeps modules.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8
for program in dpkg-buildpackage dh; do
	command -v "$program" >/dev/null || {
		echo "build.sh: no $program here: apt-get install build-essential debhelper dh-python" >&2
		exit 1
	}
done

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
version=$(dpkg-parsechangelog -l "$root/packaging/debian/changelog" -S Version)
# Not what was built before, should that lie in the tree.
"$root/packaging/source.sh" "$work/peal_${version%-*}.orig.tar.gz" "--exclude=./${output#"$root"/}"
tar -C "$work" -xzf "$work/peal_${version%-*}.orig.tar.gz"
cd "$work/peal-${version%-*}" || { echo "build.sh: packaging/debian/changelog is of $version" >&2; exit 1; }
cp -R packaging/debian .
rm debian/build.sh
dpkg-buildpackage -us -uc
cd ..
mv ./*.deb ./*.dsc ./*.tar.* ./*.buildinfo ./*.changes "$output"
