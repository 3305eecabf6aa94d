"""Coverage-guided fuzzing of the parsers of foreign input: `python -m tests.fuzz TARGET` (docs/testing.md).

A target is a module of this package with `SEEDS`, the first inputs, `TOKENS`, which the fuzzer inserts, and
`run_input(data)`, which suppresses only the parser's own exceptions. `make test` runs each target over its seeds.
"""

TARGETS = ("frames", "check_texts", "records", "settings_file", "workflow_file")
