"""The daemons, a package each, and `runtime`: what turns the RPC core into a daemon."""
