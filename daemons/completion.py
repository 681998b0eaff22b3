"""Completion of command lines for bash: one script for each program.

The scripts need nothing but bash 4.4. virtadm's asks virtadm itself (its hidden command `complete`), as
libvirt's script asks virt-admin; a daemon's script has the daemon's options in it.

Source of what is asked how: libvirt's tools/bash-completion/vsh.in.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from typing import Final

from aiovirt.admin.cli.manual import OPTIONS
from aiovirt.daemons.runtime.kind import DaemonKind

_HEAD: Final = """\
# bash completion for {name}. Written by `python -m aiovirt.daemons.manual write`.

"""

#: bash separates words at `=` and `:` too; this puts together what has no blank in between, up to the
#: cursor, and leaves out of the answers what bash does not replace.
_WORDS: Final = """\
_{name}_words()
{{
    local i word rest="${{COMP_LINE-}}"
    words=()
    for ((i = 0; i <= COMP_CWORD; i++)); do
        word="${{COMP_WORDS[i]}}"
        if ((i)) && [[ -n $rest && $rest != [[:space:]]* ]]; then
            words[-1]+="$word"
        else
            words+=("$word")
        fi
        rest="${{rest#"${{rest%%[![:space:]]*}}"}}"
        rest="${{rest#"$word"}}"
    done
    cur="${{words[-1]}}"
}}

_{name}_reply()
{{
    local kept="${{cur%"${{cur##*[=:]}}"}}" i
    [[ $COMP_WORDBREAKS == *[=:]* ]] || kept=""
    for i in "${{!COMPREPLY[@]}}"; do
        COMPREPLY[i]="${{COMPREPLY[i]#"$kept"}}"
    done
}}

"""

_VIRTADM: Final = """\
_virtadm()
{{
    local cur words i value=0 own=() asked
    _virtadm_words
    COMPREPLY=()
    # The program's own options, up to the first word that is none.
    for ((i = 1; i < ${{#words[@]}} - 1; i++)); do
        case "${{words[i]}}" in
            {taking})
                if ((i == ${{#words[@]}} - 2)); then
                    value=1
                else
                    own+=("${{words[i]}}" "${{words[++i]}}")
                fi ;;
            --) ((i++)); break ;;
            -*) own+=("${{words[i]}}") ;;
            *) break ;;
        esac
    done
    if ((value)); then
        _virtadm_value "${{words[-2]}}" "$cur" ""
    elif ((i == ${{#words[@]}} - 1)) && [[ $cur == --*=* ]]; then
        _virtadm_value "${{cur%%=*}}" "${{cur#*=}}" "${{cur%%=*}}="
    elif ((i == ${{#words[@]}} - 1)) && [[ $cur == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "{options}" -- "$cur")
    else
        asked=("${{words[@]:i}}")
        # A value behind `=` is completed as if it were a word of its own.
        if [[ $cur == --*=* ]]; then
            asked[-1]="${{cur%%=*}}"
            asked+=("${{cur#*=}}")
        fi
        mapfile -t COMPREPLY < <("$1" -q ${{own[@]+"${{own[@]}}"}} complete -- "${{asked[@]}}" \\
            2>/dev/null </dev/null)
        # Without a daemon there is no answer; the names of commands are known all the same.
        if ((!${{#COMPREPLY[@]}} && ${{#asked[@]}} == 1)); then
            mapfile -t COMPREPLY < <(compgen -W "$("$1" help 2>/dev/null </dev/null \\
                | sed -n 's/^    \\([a-z][a-z-]*\\) .*/\\1/p')" -- "$cur")
        fi
        [[ $cur == --*=* ]] && return
    fi
    _virtadm_reply
}}

# What an option may be given: $1 the option, $2 the value so far, $3 what stands in front of it.
_virtadm_value()
{{
    local choices=""
    case "$1" in
        -c|--connect) choices="{uris}" ;;
        -d|--debug) choices="0 1 2 3 4" ;;
        -o|--output) choices="text json" ;;
        --version) choices="short long" ;;
    esac
    [[ -n $choices ]] && mapfile -t COMPREPLY < <(compgen -P "$3" -W "$choices" -- "$2")
}}

complete -o bashdefault -o default -F _virtadm virtadm
"""

_DAEMON: Final = """\
_{name}()
{{
    local cur words option value
    _{name}_words
    COMPREPLY=()
    option="${{words[-2]-}}" value="$cur"
    if [[ $cur == --*=* ]]; then
        option="${{cur%%=*}}" value="${{cur#*=}}"
    fi
    case "$option" in
        {files}) mapfile -t COMPREPLY < <(compgen -f -- "$value"); return ;;
        {folders}) mapfile -t COMPREPLY < <(compgen -d -- "$value"); return ;;
        {others}) return ;;
    esac
    mapfile -t COMPREPLY < <(compgen -W "{options}" -- "$cur")
    _{name}_reply
}}

complete -o filenames -F _{name} {name}
"""


def virtadm(daemons: list[DaemonKind]) -> str:
    """The script for virtadm. daemons: those whose URIs are offered."""
    words = [word.partition("=")[0].rstrip("[") for row in OPTIONS for word in row[:2] if word]
    taking = [
        word
        for short, long, _ in OPTIONS
        if "=" in long and "[" not in long
        for word in (short, long.partition("=")[0])
        if word
    ]
    uris = ["libvirtd:///system", "libvirtd:///session", *(f"{kind.name}:///" for kind in daemons)]
    body = _VIRTADM.format(taking="|".join(taking), options=" ".join(words), uris=" ".join(uris))
    return (_HEAD + _WORDS).format(name="virtadm") + body


def daemon(name: str, declared: Iterable[argparse.Action]) -> str:
    """The script for a daemon. declared: its options."""
    files: list[str] = []
    folders: list[str] = []
    others: list[str] = []
    options: list[str] = []
    for action in declared:
        options += action.option_strings
        match action.metavar:
            case "FILE" | "PATH":
                files += action.option_strings
            case "DIR":
                folders += action.option_strings
            case str():
                others += action.option_strings
            case _:
                pass
    return (_HEAD + _WORDS + _DAEMON).format(
        name=name,
        files="|".join(files),
        folders="|".join(folders),
        others="|".join(others),
        options=" ".join(options),
    )
