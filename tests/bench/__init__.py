"""How fast the daemons and the client are, next to libvirt's on the same machine: `make bench`."""
