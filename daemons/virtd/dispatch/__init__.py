"""The serving side of the remote program: calls become what `host` does, its events become messages."""
