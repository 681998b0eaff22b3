"""The process of a daemon: command line, paths, pid file, background, systemd, exit statuses."""
