"""Completion of command lines for fish: one script for each program.

Source of what completes how: fish's complete(1) and commandline(1).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from aiovirt.daemons.completion_words import DaemonOption, OwnOptions

_HEAD: Final = """\
# fish completion for {name}. Written by `python -m aiovirt.daemons.manual write`.

"""

_VIRTADM: Final = """\
function __virtadm_complete
    set -l words (commandline -opc)
    set -l cur (commandline -ct)
    set -l program $words[1]
    set -e words[1]
    set -l own
    set -l value ""
    # The program's own options, up to the first word that is none.
    while set -q words[1]
        switch $words[1]
            case {taking}
                if set -q words[2]
                    set own $own $words[1..2]
                    set -e words[1..2]
                else
                    set value $words[1]
                    set -e words[1]
                end
            case --
                set -e words[1]
                break
            case '-*'
                set own $own $words[1]
                set -e words[1]
            case '*'
                break
        end
    end
    set -l option ""
    set -l rest "$cur"
    # A value after `=` is completed as if it were a word of its own.
    if string match -q -- '--*=*' "$cur"
        set option (string split -m 1 = -- "$cur")[1]
        set rest (string split -m 1 = -- "$cur")[2]
    end
    if test -n "$value"
        __virtadm_value $program $value "$cur"
    else if not set -q words[1]; and test -n "$option"
        for choice in (__virtadm_value $program $option "$rest")
            echo "$option=$choice"
        end
    else if not set -q words[1]; and string match -q -- '-*' "$cur"
        printf '%s\\n' {options}
    else
        set -l asked $words
        test -n "$option"; and set asked $asked $option
        set -l choices ($program -q $own complete -- $asked "$rest" 2>/dev/null </dev/null)
        if not set -q choices[1]
            __fish_complete_path "$cur"
            return
        end
        for choice in (string replace -a '\\\\ ' ' ' -- $choices)
            test -n "$option"; and echo "$option=$choice"; or echo $choice
        end
    end
end

# The values of an option: the program, the option, the value so far.
function __virtadm_value
    switch $argv[2]
        case -c --connect
            printf '%s\\n' {uris}
            $argv[1] -q daemon-list --sockets 2>/dev/null </dev/null | string match -r '\\S+'
{values}
        case '*'
            __fish_complete_path "$argv[3]"
    end
end

complete -c virtadm -f -a '(__virtadm_complete)'
"""


def virtadm(own: OwnOptions) -> str:
    """Return the script for virtadm. own: its options and URIs."""
    values = "\n".join(
        f"        case {' '.join(names)}\n            printf '%s\\n' {' '.join(choices)}"
        for names, choices in own.values
    )
    body = _VIRTADM.format(
        taking=" ".join(own.taking),
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
    lines = [f"complete -c {name} -f", *(_line(name, option) for option in options)]
    return _HEAD.format(name=name) + "\n".join(lines) + "\n"


def _line(name: str, option: DaemonOption) -> str:
    spelled = [
        f"-l {each[2:]}" if each.startswith("--") else f"-s {each[1:]}" for each in option.names
    ]
    takes = {
        "file": "-r -F",
        "folder": "-x -a '(__fish_complete_directories)'",
        "other": "-x",
        "": "",
    }[option.value]
    text = option.help.replace("\\", "\\\\").replace("'", "\\'")
    return " ".join(filter(None, (f"complete -c {name}", *spelled, takes, f"-d '{text}'")))
