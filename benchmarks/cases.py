"""Every case there is, in the order in which they are run."""

from collections.abc import Mapping

from benchmarks.figures import Case

CASES: Mapping[str, Case] = {}
