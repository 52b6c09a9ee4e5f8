# SPDX-License-Identifier: MIT
# Sourced by the tests of what is installed: a copy of its own, to which pkg-config and CMake point.
# Needs $root and $build. Gives $work, which goes when the test ends, $prefix, $libdir and $pythondir.
# Programs find the shared library by the LD_LIBRARY_PATH that is exported here.
. "$root/tests/api/tally.sh"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

check "meson installs" meson install -C "$build" --no-rebuild --destdir "$work/stage"
pc=$(find "$work/stage" -name peal.pc)
if [ -z "$pc" ]; then
	echo "no peal.pc was installed: nothing else can be tested"
	finish
fi
libdir=$(dirname "$(dirname "$pc")")
prefix=$(dirname "$(dirname "$(dirname "$(find "$work/stage" -name peal.h -path '*/include/peal/*')")")")
pythondir=$(dirname "$(dirname "$(find "$work/stage" -name _library.py -path '*/peal/*')")")
export PKG_CONFIG_PATH="${pc%/*}" PKG_CONFIG_SYSROOT_DIR="$work/stage"
export CMAKE_PREFIX_PATH="$prefix" LD_LIBRARY_PATH="$libdir"
