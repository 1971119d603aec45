/** The exit status of `zpsend __complete` if the word is a file. */
export const completesFiles = 3;

/*
 * bash breaks words at the characters of COMP_WORDBREAKS, ":" and "@" among them, and replaces only the part after the last one. So the
 * script splits the line itself, and cuts what stands before that part off every candidate.
 */
const bash = `# bash completion of zpsend: source <(zpsend completion bash)
_zpsend() {
  local line="\${COMP_LINE:0:COMP_POINT}" word="" quote="" char at begun=""
  local -a words=()
  for ((at = 0; at < \${#line}; at++)); do
    char="\${line:at:1}"
    if [[ -n $quote ]]; then
      if [[ $char == "$quote" ]]; then quote=""; else word+="$char"; fi
    elif [[ $char == [\\'\\"] ]]; then
      quote="$char" begun=1
    elif [[ $char == "\\\\" ]]; then
      at=$((at + 1)) begun=1
      word+="\${line:at:1}"
    elif [[ $char == [[:space:]] ]]; then
      [[ -n $begun ]] && words+=("$word")
      word="" begun=""
    else
      word+="$char" begun=1
    fi
  done
  local before="" breaks="\${COMP_WORDBREAKS//[^:=@]/}"
  if [[ -z $quote && -n $breaks && $word == *["$breaks"]* ]]; then before="\${word%"\${word##*["$breaks"]}"}"; fi
  local candidates status candidate
  candidates="$(zpsend __complete -- "\${words[@]:1}" "$word" 2>/dev/null)"
  status=$?
  COMPREPLY=()
  if [[ $status -eq ${completesFiles} ]]; then
    compopt -o default 2>/dev/null
    return
  fi
  while IFS= read -r candidate; do
    candidate="\${candidate%%$'\\t'*}"
    [[ -z $candidate ]] && continue
    [[ $candidate == *[:,=] ]] && compopt -o nospace 2>/dev/null
    candidate="\${candidate#"$before"}"
    if [[ -z $quote && -n $candidate ]]; then printf -v candidate '%q' "$candidate"; fi
    COMPREPLY+=("$candidate")
  done <<<"$candidates"
}
complete -F _zpsend zpsend
`;

const zsh = `#compdef zpsend
# zsh completion of zpsend: source <(zpsend completion zsh), after compinit
_zpsend() {
  local line candidates
  local -a whole open
  candidates="$(zpsend __complete -- "\${(@Q)words[2,CURRENT-1]}" "\${(Q)PREFIX}" 2>/dev/null)"
  if (( $? == ${completesFiles} )); then
    _files
    return
  fi
  for line in "\${(@f)candidates}"; do
    line="\${line%%$'\\t'*}"
    [[ -z $line ]] && continue
    if [[ $line == *[:,=] ]]; then open+=("$line"); else whole+=("$line"); fi
  done
  (( $#open )) && compadd -S '' -a open
  (( $#whole )) && compadd -a whole
}
# from a folder of fpath, this file is the body of the function
if [[ $funcstack[1] == _zpsend ]]; then _zpsend "$@"; else compdef _zpsend zpsend; fi
`;

const fish = `# fish completion of zpsend: zpsend completion fish | source
function __zpsend_complete
    set -l words (commandline -opc)
    set -e words[1]
    set -l typed (commandline -ct)
    zpsend __complete -- $words "$typed" 2>/dev/null
    if test $status -eq ${completesFiles}
        __fish_complete_path "$typed"
    end
end
complete -c zpsend -f -a '(__zpsend_complete)'
`;

export const scripts = { bash, zsh, fish } as const;
