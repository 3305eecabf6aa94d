"""The pace at which a server that loads by itself is looked at."""

from statemachine.fleet.checking import auto_pace_s
from statemachine.settings.model import Timing


def test_the_pace_doubles_up_to_the_checks_interval_however_long_it_lasts() -> None:
    """A server that fails at its own loading for days comes to thousands of rounds."""
    timing = Timing(auto_recheck_s=5.0, check_interval_s=60.0)
    assert [auto_pace_s(rounds, timing) for rounds in (0, 3, 4, 8, 16, 5_000, 10**9)] == [5, 5, 10, 20, 60, 60, 60]
