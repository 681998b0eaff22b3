"""Attacks on a daemon, from a process of their own: for tests, which look whether it stands, and for
the benchmarks, which look how fast it goes on.

    with under("slow_loris", Target(daemon.socket), 2000) as attack:
        ...
    attack.tally["connected"]
"""
