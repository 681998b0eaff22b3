"""Daemons that are polled again and again: what `virtadm exporter` and `virtadm top` stand on.

`Watched` keeps the connection to one daemon, `read_state` asks for what the common admin program knows,
and `sources` for what only some daemons have.
"""
