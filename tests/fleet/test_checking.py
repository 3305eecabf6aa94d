"""The interval of checks while a server loads by itself."""

from statemachine.fleet.checking import auto_pace_s
from statemachine.settings.model import Timing


def test_auto_pace_doubles_up_to_check_interval() -> None:
    """A server that fails to load for days reaches thousands of rounds."""
    timing = Timing(auto_recheck_s=5.0, check_interval_s=60.0)
    assert [auto_pace_s(rounds, timing) for rounds in (0, 3, 4, 8, 16, 5_000, 10**9)] == [5, 5, 10, 20, 60, 60, 60]
