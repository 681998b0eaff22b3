"""Failure on command: rules for calls, keepalives and events, and events of guests.

`rules` says what a rule is and checks one, for both sides. `striking` has the rules of a daemon and
decides where they strike. `protocol`, `dispatch`, `client` and `commands` administer them.
"""
