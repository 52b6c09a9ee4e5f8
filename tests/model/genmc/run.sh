#!/bin/sh
# SPDX-License-Identifier: MIT
# The cases for GenMC, which must be installed: https://github.com/MPI-SWS/genmc
# usage: GENMC=PATH run.sh [REGEX]
set -u
genmc=${GENMC:-genmc} regex=${1:-.} passed=0 failed=0
cd "$(dirname "$0")" || exit 1
while read -r name want model memory flags; do
	case $name in '' | '#'*) continue ;; esac
	echo "$name" | grep -qE "$regex" || continue
	# shellcheck disable=SC2086 # words are meant
	log=$(timeout 600 "$genmc" "--$memory" --check-liveness --disable-estimation -- $flags "$model" 2>&1)
	case $log in
	*'No errors were detected'*) got=pass ;;
	*Error:*) got=fail ;;
	*) got=incomplete ;;
	esac
	printf '%-22s %-4s %-10s %s %s\n' "$name" "$memory" "$got" "$model" "$flags"
	if [ "$got" = "$want" ]; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		printf 'FAIL %s: expected %s\n%s\n' "$name" "$want" "$log"
	fi
done <cases.txt
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
