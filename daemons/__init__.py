"""What turns the RPC core into a daemon: options, settings, life cycle; then one folder for
each."""
