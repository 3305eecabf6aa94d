"""Each row of docs/faults.md has a test, and each test has a row."""

import subprocess
import sys
from collections import Counter
from pathlib import Path

from statemachine.core.vocabulary import Notice, Reason, State
from tests.faults.table import rows

FOLDER = Path(__file__).parent


def collected() -> set[str]:
    """Return the tests of this folder except those of this file."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", str(FOLDER)]
    listing = subprocess.run(command, capture_output=True, text=True, check=True, cwd=FOLDER.parents[1]).stdout
    names = {line.rpartition("/")[2] for line in listing.splitlines() if "::" in line}
    return {name for name in names if not name.startswith(Path(__file__).name)}


def test_rows_and_tests_match() -> None:
    listed = Counter(test for row in rows() for test in row.tests)
    assert listed == Counter(collected())


def test_rows_use_known_states_and_reasons() -> None:
    states, reasons = {state.value for state in State}, {reason.value for reason in Reason}
    for row in rows():
        assert not row.state or {row.state} <= states, row
        assert not row.state or {row.reason} <= reasons, row
        assert set(row.notices) <= {notice.value for notice in Notice}, row
