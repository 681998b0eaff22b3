"""What turns the RPC core into a daemon. Knows none of the daemons that are built on it."""
