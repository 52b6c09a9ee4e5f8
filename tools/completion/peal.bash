# SPDX-License-Identifier: MIT
# Completion of peal for bash. It asks peal itself: what `peal --help` and `peal help COMMAND` list.

_peal_commands() {
	"$1" --help 2>/dev/null | sed -n 's/^  \([a-z]\{1,\}\)  *[a-z].*/\1/p'
	echo help
}

# _peal_options PEAL COMMAND
_peal_options() {
	"$1" help "$2" 2>/dev/null | grep -oE -- '--[a-z][a-z-]+' | sort -u
	echo --help
}

# _peal_values PEAL COMMAND OPTION - the words among "--option this|that|FILE"
_peal_values() {
	"$1" help "$2" 2>/dev/null |
		sed -n "s/.*[[:space:]]$3[ =]\([A-Za-z0-9|-]*|[A-Za-z0-9|-]*\).*/\1/p" | tr '|' '\n' | grep -E '^[a-z0-9-]+$'
}

# Is the word at COMP_CWORD behind the program that `peal run` and the like start? Then its number.
_peal_program() {
	local i
	for ((i = 2; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		--) echo $((i + 1)) && return ;;
		esac
	done
}

_peal() {
	local peal=${COMP_WORDS[0]} word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}
	local command=${COMP_WORDS[1]} program
	COMPREPLY=()
	if [ "$COMP_CWORD" = 1 ] || { [ "$command" = help ] && [ "$COMP_CWORD" = 2 ]; }; then
		mapfile -t COMPREPLY < <(compgen -W "$(_peal_commands "$peal") --help --version" -- "$word")
		return
	fi
	program=$(_peal_program)
	if [ -n "$program" ]; then
		# A program, then whatever it takes; bash falls back to files.
		[ "$COMP_CWORD" != "$program" ] || mapfile -t COMPREPLY < <(compgen -c -- "$word")
	elif [[ $word == -* ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$(_peal_options "$peal" "$command")" -- "$word")
	elif [[ $before == --* ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$(_peal_values "$peal" "$command" "$before")" -- "$word")
	fi
}

complete -o default -F _peal peal
