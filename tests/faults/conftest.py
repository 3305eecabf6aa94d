"""Fixtures of the tests of docs/faults.md."""

import pytest

from tests.faults.table import Row, rows


@pytest.fixture
def expected(request: pytest.FixtureRequest) -> Row:
    """Return the test's row in docs/faults.md."""
    name = request.node.nodeid.rpartition("/")[2]
    found = [row for row in rows() if name in row.tests]
    assert found, f"docs/faults.md has no row for {name}"
    return found[0]
