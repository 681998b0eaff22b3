# fish completion for virtd. Written by `python -m aiovirt.daemons.manual write`.

complete -c virtd -f
complete -c virtd -s h -l help -d 'show this help message and exit'
complete -c virtd -s v -l verbose -d 'log at level info'
complete -c virtd -s d -l daemon -d 'go into the background'
complete -c virtd -s t -l timeout -x -d 'end after SECS seconds without a client; 0, the default, never does'
complete -c virtd -s f -l config -r -F -d 'settings file; it has to exist'
complete -c virtd -l print-config -d 'write a settings file with all defaults to standard output'
complete -c virtd -s V -l version -d 'print the version'
complete -c virtd -s p -l pid-file -r -F -d 'where to write and lock the process id'
complete -c virtd -l rundir -x -a '(__fish_complete_directories)' -d 'folder for all files of the daemon'
complete -c virtd -l socket -r -F -d 'path of the daemon\'s own socket'
complete -c virtd -l admin-socket -r -F -d 'path of the admin socket'
complete -c virtd -l ephemeral -d 'keep everything in memory, use a temporary run directory, print the URIs as JSON, and end with the parent process or the standard input'
complete -c virtd -l settings -x -d 'text of the settings file in the temporary run directory, with --ephemeral'
complete -c virtd -l ready-fd -x -d 'descriptor to which the URIs are written as JSON when all sockets are open'
complete -c virtd -l world -r -F -d 'what new hosts begin with; see virtd.md'
