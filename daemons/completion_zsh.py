"""Completion of command lines for zsh: one autoloaded function for each program.

Source of what completes how: zshcompsys(1) and zshcompwid(1).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from aiovirt.daemons.completion_words import DaemonOption, OwnOptions

_HEAD: Final = """\
#compdef {name}
# zsh completion for {name}. Written by `python -m aiovirt.daemons.manual write`.

"""

_VIRTADM: Final = """\
_virtadm()
{{
    local cur="${{(Q)words[CURRENT]}}" value="" i
    local -a own asked choices
    # The program's own options, up to the first word that is none.
    for ((i = 2; i < CURRENT; i++)); do
        case "${{words[i]}}" in
            ({taking})
                if ((i == CURRENT - 1)); then
                    value="${{words[i]}}"
                else
                    own+=("${{(Q)words[i]}}" "${{(Q)words[i + 1]}}")
                    ((i++))
                fi ;;
            (--) ((i++)); break ;;
            (-*) own+=("${{(Q)words[i]}}") ;;
            (*) break ;;
        esac
    done
    if [[ -n $value ]]; then
        _virtadm_value "$value"
    elif ((i == CURRENT)) && [[ $cur == --*=* ]]; then
        compset -P '*='
        _virtadm_value "${{cur%%=*}}"
    elif ((i == CURRENT)) && [[ $cur == -* ]]; then
        compadd -- {options}
    else
        asked=("${{(@Q)words[i,CURRENT]}}")
        # A value after `=` is completed as if it were a word of its own.
        if [[ $cur == --*=* ]]; then
            asked[-1]=("${{cur%%=*}}" "${{cur#*=}}")
            compset -P '*='
        fi
        choices=(${{(f)"$("${{(Q)words[1]}}" -q "${{own[@]}}" complete -- "${{asked[@]}}" \\
            2>/dev/null </dev/null)"}})
        if (($#choices)); then
            compadd -- "${{(@)choices//\\\\ / }}"
        else
            _files
        fi
    fi
}}

# The values of an option: $1.
_virtadm_value()
{{
    local -aU uris
    case "$1" in
        (-c|--connect)
            uris=(${{(f)"$("${{(Q)words[1]}}" -q daemon-list --sockets 2>/dev/null </dev/null)"}})
            uris=({uris} ${{${{uris## }}%% *}})
            compadd -- "${{uris[@]}}" ;;
{values}
        (*) _files ;;
    esac
}}

if [[ $funcstack[1] == _virtadm ]]; then
    _virtadm "$@"
else
    compdef _virtadm virtadm
fi
"""


def virtadm(own: OwnOptions) -> str:
    """Return the script for virtadm. own: its options and URIs."""
    values = "\n".join(
        f"        ({'|'.join(names)}) compadd -- {' '.join(choices)} ;;"
        for names, choices in own.values
    )
    body = _VIRTADM.format(
        taking="|".join(own.taking),
        options=" ".join(own.words),
        uris=" ".join(own.uris),
        values=values,
    )
    return _HEAD.format(name="virtadm") + body


def daemon(name: str, options: Sequence[DaemonOption]) -> str:
    """Return the script for a daemon.

    Args:
        name: the daemon.
        options: its options.
    """
    lines = [f"    {_spec(option)}" for option in options]
    return _HEAD.format(name=name) + " \\\n".join(["_arguments -s", *lines]) + "\n"


def _spec(option: DaemonOption) -> str:
    """Return an option as _arguments takes it."""
    action = {"file": "_files", "folder": "_files -/", "other": ""}.get(option.value, "")
    value = f":{option.metavar.lower()}:{action}" if option.value else ""
    text = option.help.replace("'", "'\\''").replace("[", "\\[").replace("]", "\\]")
    spelled = [
        name + ("" if not option.value else "=" if name.startswith("--") else "+")
        for name in option.names
    ]
    if len(spelled) == 1:
        return f"'{spelled[0]}[{text}]{value}'"
    return f"'({' '.join(option.names)})'{{{','.join(spelled)}}}'[{text}]{value}'"
