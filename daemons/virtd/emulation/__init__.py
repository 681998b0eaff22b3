"""The emulator of a guest, as lock and log managers see it: a process that does nothing, with its locks
and its log.

virtd has it only for guests that are started while `lock_manager` or `stdio_handler` is set. A lock
manager ends the process whose locks it cannot keep, so that process must not be virtd.
It outlives virtd, with its locks and its log.
"""
