"""The page and the tests are in step: no row without its test, no test without its row."""

import subprocess
import sys
from collections import Counter
from pathlib import Path

from statemachine.core.vocabulary import Notice, Reason, State
from tests.faults.table import rows

FOLDER = Path(__file__).parent


def collected() -> set[str]:
    """The tests of this folder but for this file's."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", str(FOLDER)]
    listing = subprocess.run(command, capture_output=True, text=True, check=True, cwd=FOLDER.parents[1]).stdout
    names = {line.rpartition("/")[2] for line in listing.splitlines() if "::" in line}
    return {name for name in names if not name.startswith(Path(__file__).name)}


def test_every_row_has_its_test_and_every_test_its_row() -> None:
    listed = Counter(test for row in rows() for test in row.tests)
    assert listed == Counter(collected())


def test_states_and_reasons_are_those_of_the_contract() -> None:
    states, reasons = {state.value for state in State}, {reason.value for reason in Reason}
    for row in rows():
        assert not row.state or {row.state} <= states, row
        assert not row.state or {row.reason} <= reasons, row
        assert set(row.notices) <= {notice.value for notice in Notice}, row
