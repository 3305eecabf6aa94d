"""The cost of the choice at 1,000 servers, beside a plain min() over a list of queue lengths of as many servers."""

import pytest

from benchmarks.routing.cost import SERVERS, busy_fleet, seconds_each
from statemachine.gateway.fleet_view import FleetView
from statemachine.gateway.learned_choice import LearnedChoice
from statemachine.settings import parse_settings, resolve_servers
from tests.support.paths import REPOSITORY

pytestmark = [pytest.mark.ratios, pytest.mark.timeout(150)]

LIMIT_S = 200e-6


def test_choice_among_1000_servers_costs_at_most_200_us() -> None:
    fleet, needs = busy_fleet()
    lengths = {f"s{number}": number % 7 for number in range(SERVERS)}
    plain = seconds_each(lambda _: min(lengths, key=lambda name: lengths[name]))
    choice = seconds_each(lambda number: fleet.choose(needs[number % len(needs)], 100.0))
    limited = seconds_each(lambda number: fleet.choose(needs[number % len(needs)], 100.0, lengths.keys()))
    event = seconds_each(lambda number: fleet.sent(f"s{number}", f"new-{number}", needs[number % 80], 100.0))
    print(f"choice {choice * 1e6:.0f} us, among names {limited * 1e6:.0f} us")
    print(f"an event {event * 1e6:.0f} us, plain min() {plain * 1e6:.0f} us")
    assert max(choice, limited) <= LIMIT_S or max(choice, limited) <= 4 * plain


def test_gateway_choice_among_1000_servers_costs_at_most_200_us() -> None:
    urls = [f"http://gpu{number}:8188" for number in range(SERVERS)]
    choice = LearnedChoice(lambda: 100.0)
    view = FleetView(resolve_servers(parse_settings({"servers": urls}, REPOSITORY, {})), choice)
    names = [one.name for one in view]
    view.note_status([{"name": name, "state": "loaded", "queue_remaining": at % 3} for at, name in enumerate(names)])
    graphs = [{"1": {"class_type": "Loader", "inputs": {"name": f"m{number}.ckpt"}}} for number in range(80)]
    for number, name in enumerate(names):
        choice.note_sent(name, str(number), graphs[number % 80])
    plain = seconds_each(lambda _: min(names, key=len))
    seconds = seconds_each(lambda number: view.choose(graphs[number % 80]))
    print(f"gateway's choice {seconds * 1e6:.0f} us, plain min() {plain * 1e6:.0f} us")
    assert seconds <= LIMIT_S or seconds <= 6 * plain
