"""Completion of command lines: one script for each program, here for bash; and those of all shells.

The scripts for bash need nothing but bash 4.4. virtadm's asks virtadm itself (its hidden command
`complete`), as libvirt's script asks virt-admin; a daemon's script has the daemon's options in it.

Source of what is asked how: libvirt's tools/bash-completion/vsh.in.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from aiovirt.daemons import completion_fish, completion_zsh
from aiovirt.daemons.completion_words import (
    DaemonOption,
    OwnOptions,
    daemon_options,
    own_options,
)
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
        _virtadm_value "${{words[-2]}}" "$cur" "" "$1"
    elif ((i == ${{#words[@]}} - 1)) && [[ $cur == --*=* ]]; then
        _virtadm_value "${{cur%%=*}}" "${{cur#*=}}" "${{cur%%=*}}=" "$1"
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
        [[ $cur == --*=* ]] && return
    fi
    _virtadm_reply
}}

# The values of an option: $1 the option, $2 the value so far, $3 the text before it, $4 the program.
_virtadm_value()
{{
    local choices=""
    case "$1" in
        -c|--connect)
            choices="{uris}"
            choices+=" $("$4" -q daemon-list --sockets 2>/dev/null </dev/null \\
                | sed 's/^ *//; s/ .*//')" ;;
{values}
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


def documents(
    daemons: Sequence[DaemonKind], declared: Mapping[str, Iterable[argparse.Action]]
) -> dict[str, str]:
    """Return the scripts of all shells: path from the top of the source tree -> text.

    Args:
        daemons: the daemons.
        declared: the options of each daemon, by its name.
    """
    own = own_options(daemons)
    scripts = {
        "bash/virtadm": virtadm(own),
        "zsh/_virtadm": completion_zsh.virtadm(own),
        "fish/virtadm.fish": completion_fish.virtadm(own),
    }
    for name, actions in declared.items():
        options = daemon_options(actions)
        scripts[f"bash/{name}"] = daemon(name, options)
        scripts[f"zsh/_{name}"] = completion_zsh.daemon(name, options)
        scripts[f"fish/{name}.fish"] = completion_fish.daemon(name, options)
    return {f"conf/completion/{name}": text for name, text in scripts.items()}


def virtadm(own: OwnOptions) -> str:
    """Return the script for virtadm. own: its options and URIs."""
    values = "\n".join(
        f'        {"|".join(names)}) choices="{" ".join(choices)}" ;;'
        for names, choices in own.values
    )
    body = _VIRTADM.format(
        taking="|".join(own.taking),
        options=" ".join(own.words),
        uris=" ".join(own.uris),
        values=values,
    )
    return (_HEAD + _WORDS).format(name="virtadm") + body


def daemon(name: str, options: Iterable[DaemonOption]) -> str:
    """Return the script for a daemon.

    Args:
        name: the daemon.
        options: its options.
    """
    spelled: dict[str, list[str]] = {"file": [], "folder": [], "other": [], "": []}
    for option in options:
        spelled[option.value] += option.names
    return (_HEAD + _WORDS + _DAEMON).format(
        name=name,
        files="|".join(spelled["file"]),
        folders="|".join(spelled["folder"]),
        others="|".join(spelled["other"]),
        options=" ".join(word for option in options for word in option.names),
    )
