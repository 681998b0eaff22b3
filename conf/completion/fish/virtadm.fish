# fish completion for virtadm. Written by `python -m aiovirt.daemons.manual write`.

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
            case -c --connect -d --debug -l --log -o --output --timeout
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
        printf '%s\n' -c --connect -d --debug -h --help -l --log -o --output -q --quiet --timeout -v -V --version
    else
        set -l asked $words
        test -n "$option"; and set asked $asked $option
        set -l choices ($program -q $own complete -- $asked "$rest" 2>/dev/null </dev/null)
        if not set -q choices[1]
            __fish_complete_path "$cur"
            return
        end
        for choice in (string replace -a '\\ ' ' ' -- $choices)
            test -n "$option"; and echo "$option=$choice"; or echo $choice
        end
    end
end

# The values of an option: the program, the option, the value so far.
function __virtadm_value
    switch $argv[2]
        case -c --connect
            printf '%s\n' all libvirtd:///system libvirtd:///session lockd:/// logd:/// virtd:///
            $argv[1] -q daemon-list --sockets 2>/dev/null </dev/null | string match -r '\S+'
        case -d --debug
            printf '%s\n' 0 1 2 3 4
        case -o --output
            printf '%s\n' text json
        case --version
            printf '%s\n' short long
        case '*'
            __fish_complete_path "$argv[3]"
    end
end

complete -c virtadm -f -a '(__virtadm_complete)'
