"""How much models are wanted, and what that makes pushing them out cost."""

import pytest

from statemachine.routing.averages import MAX_KEYS, SPAN_S, WITHIN_S, Demand
from statemachine.routing.fleet import RoutedFleet
from statemachine.routing.holdings import Holdings
from statemachine.routing.orders import ServerOrders
from statemachine.routing.retention import Retention
from statemachine.routing.server import RoutedServer


def test_model_never_requested_is_not_wanted() -> None:
    assert Demand().wanted("a", 1_000.0) == 0.0


def test_wanted_grows_with_requests_and_fades() -> None:
    demand, wanted = Demand(), list[float]()
    for number in range(1_000):
        demand.requested({"a"}, 60.0 * number)
        wanted.append(demand.wanted("a", 60.0 * number))
    assert wanted == sorted(wanted)
    assert 0.9 < wanted[-1] < 1.0  # one request a minute
    assert demand.wanted("a", 60_000.0 + 10 * SPAN_S) < 0.01


def test_wanted_once_is_about_the_share_of_the_span() -> None:
    demand = Demand()
    demand.requested({"a"}, 0.0)
    assert demand.wanted("a", 0.0) == pytest.approx(WITHIN_S / SPAN_S, rel=0.01)
    assert demand.wanted("a", -5.0) == demand.wanted("a", 0.0)


def test_request_that_never_arrived_is_not_wanted() -> None:
    fleet = RoutedFleet()
    fleet.put("a", is_ready=True)
    fleet.sent("a", "1", frozenset({"m"}), 0.0)
    fleet.ended("a", "1", 1.0, arrived=False)
    assert fleet.demand.wanted("m", 1.0) == pytest.approx(0.0, abs=1e-6)
    fleet.sent("a", "2", frozenset({"m"}), 2.0)
    fleet.ended("a", "2", 3.0)
    assert fleet.demand.wanted("m", 3.0) > 0.001


def test_demand_drops_the_model_not_requested_for_longest() -> None:
    demand = Demand()
    demand.requested({"first"}, 0.0)
    demand.requested(map(str, range(MAX_KEYS - 1)), 1.0)
    demand.requested({"first"}, 2.0)
    demand.requested({"one more"}, 3.0)
    assert demand.wanted("first", 3.0) > 0
    assert demand.wanted("0", 3.0) == 0.0


def test_price_rises_with_demand_and_falls_with_copies() -> None:
    fleet = RoutedFleet()
    for _ in range(60):  # one set fits
        fleet.retention.observe(1, 0.0)
    prices: list[float] = []
    for number, (server, model) in enumerate([("a", "m"), ("a", "m"), ("b", "m"), ("b", "other")]):
        fleet.put(server, is_ready=True)
        fleet.sent(server, str(number), frozenset({model}), float(number))
        fleet.finished(server, str(number), number + 0.5)
        prices.append(fleet.candidate("a", frozenset({"new"}), number + 0.5).price_s)
    assert prices[0] < prices[1]
    assert prices[2] < prices[1] / 2
    assert prices[3] == pytest.approx(1.5 * prices[1], rel=0.01)
    assert fleet.candidate("a", frozenset({"m"}), 9.0).price_s == 0.0


def test_server_leaves_the_orders_of_models_that_it_lost() -> None:
    orders, server = ServerOrders(), RoutedServer("a", 0, Holdings(Retention()), is_ready=True)
    for number in range(100):
        server.holdings.run(frozenset({f"m{number}"}), float(number))
        orders.place(server)
    assert [orders.copies(f"m{number}") for number in (0, 99)] == [0, 1]
    orders.remove(server)
    assert orders.copies("m99") == 0
    assert [list(one) for one in orders.orders_for({"m99"})] == [[], []]
