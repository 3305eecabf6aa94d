"""Coverage-guided fuzzing of all that reads what others wrote: `python -m tests.fuzz TARGET` (docs/testing.md).

A target is a module of this package: `SEEDS` it begins with, `TOKENS` it puts in, and `one_input(data)`, which lets
only the readers' own error types pass. `make test` runs each target over its seeds, so that none of them rots.
"""

TARGETS = ("frames", "check_texts", "records", "settings_file", "workflow_file")
