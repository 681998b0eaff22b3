# fish completion for logd. Written by `python -m aiovirt.daemons.manual write`.

complete -c logd -f
complete -c logd -s h -l help -d 'show this help message and exit'
complete -c logd -s v -l verbose -d 'log at level info'
complete -c logd -s d -l daemon -d 'go into the background'
complete -c logd -s t -l timeout -x -d 'end after SECS seconds without a client; 0, the default, never does'
complete -c logd -s f -l config -r -F -d 'settings file; it has to exist'
complete -c logd -l print-config -d 'write a settings file with all defaults to standard output'
complete -c logd -s V -l version -d 'print the version'
complete -c logd -s p -l pid-file -r -F -d 'where to write and lock the process id'
complete -c logd -l rundir -x -a '(__fish_complete_directories)' -d 'folder for all files of the daemon'
complete -c logd -l socket -r -F -d 'path of the daemon\'s own socket'
complete -c logd -l admin-socket -r -F -d 'path of the admin socket'
complete -c logd -l ephemeral -d 'keep everything in memory, use a temporary run directory, print the URIs as JSON, and end with the parent process or the standard input'
complete -c logd -l settings -x -d 'text of the settings file in the temporary run directory, with --ephemeral'
complete -c logd -l ready-fd -x -d 'descriptor to which the URIs are written as JSON when all sockets are open'
