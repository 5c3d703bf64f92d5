# shellcheck shell=bash
# honectl.bash - completion of honectl in bash; names come from the daemon when it answers.

_honectl() {
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} cmd='' at=0 i words=''
	local -a where=()

	for ((i = 1; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		--socket|--url) where+=("${COMP_WORDS[i]}" "${COMP_WORDS[i+1]}"); ((i++)) ;;
		--reason|--who|--after|--until|--patience|--format|--name|-n|-o) ((i++)) ;;
		-*) ;;
		*) if [[ -z $cmd ]]; then cmd=${COMP_WORDS[i]}; else ((at++)); fi ;;
		esac
	done
	case $prev in
	--socket) mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
	--url|--reason|--who|--after|--until|--patience|-n) return ;;
	esac
	case $cmd:$at in
	:*) words="$(honectl --list-commands 2>/dev/null) help --socket --url --patience --json --version --help" ;;
	help:0) words=$(honectl --list-commands 2>/dev/null) ;;
	model:0) words='export import --json --help' ;;
	model:*) [[ $prev == -o || ${COMP_WORDS[*]} == *" import "* && $prev == import ]] &&
		{ mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return; }
		words='-o --format --int8 --name --wait --reason --json --help' ;;
	retrain:*) words='--wait --dry-run --reason --json --help' ;;
	rollback:*) words='--reason --json --help' ;;
	events:*) words='-f --follow --until --after -n --json --help' ;;
	label:*) words='--who --json --help' ;;
	rollout:0) words='pause resume retry' ;;
	key:0) words='new device' ;;
	key:1) mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
	*) words='--json --help' ;;
	esac
	case $cmd:$at in
	model:0|retrain:0|rollback:0|rollout:1) words+=" $(_honectl_names models)" ;;
	history:0|pull:0) words+=" $(_honectl_names devices)" ;;
	label:0) words+=" $(_honectl_names streams)" ;;
	job:0|cancel:0) words+=" $(_honectl_names jobs)" ;;
	esac
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
}

# First column of a list.
_honectl_names() {
	honectl "${where[@]}" "$1" 2>/dev/null | awk 'NR > 1 { print $1 }'
}

complete -F _honectl honectl
