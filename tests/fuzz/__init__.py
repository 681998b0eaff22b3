"""Any bytes at everything that reads bytes: `python -m tests.fuzz --help`, and docs/fuzzing.md."""
