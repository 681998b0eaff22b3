"""The extension program: what our daemons can be asked beyond libvirt's own admin program."""
