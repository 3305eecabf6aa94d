"""Why a request went to its server."""

import pytest

from statemachine.routing.decision import (
    Decision,
    Explanation,
    Prospect,
    RunnerUp,
    ServerCost,
    Why,
    explain,
    shown_models,
)

MODELS = frozenset({"a.safetensors"})
WARM = ServerCost("warm", 0.0, 0.0, 0.0, (), ())
BUSY = ServerCost("busy", 8.0, 0.0, 0.0, (), ())
EMPTY = ServerCost("empty", 0.0, 20.0, 0.0, ("a.safetensors",), ())
FULL = ServerCost("full", 0.0, 20.0, 4.0, ("folder/a.safetensors",), ())


@pytest.mark.parametrize(
    ("chosen", "why", "is_cold"),
    [
        (WARM, Why.WARM, False),
        (BUSY, Why.WARM_QUEUED, False),
        (EMPTY, Why.LOADS, True),
        (FULL, Why.DISPLACES, True),
    ],
)
def test_explain_names_what_decided(chosen: ServerCost, why: Why, is_cold: bool) -> None:
    other = ServerCost("other", 9.0, 20.0, 0.0, ("a.safetensors",), ())
    explanation = explain(chosen.server, MODELS, Decision(chosen, (other,)))
    missing = ("a.safetensors",) if is_cold else ()
    others = (RunnerUp("other", Prospect.LOADS_BUSY, 29.0),)
    assert explanation == Explanation(chosen.server, why, is_cold, chosen.wait_s, missing, others)


def test_explain_with_one_server_says_that_no_other_was_ready() -> None:
    assert explain("full", MODELS, Decision(FULL)) == Explanation(
        "full", Why.ONLY_READY, True, 20.0, ("a.safetensors",)
    )


@pytest.mark.parametrize("models", [None, frozenset[str]()])
def test_explain_without_models_says_shortest_wait(models: frozenset[str] | None) -> None:
    explanation = explain("busy", models, Decision(BUSY, (BUSY,)))
    assert (explanation.why, explanation.is_cold) == (Why.SHORTEST_WAIT, None)
    assert explain("busy", MODELS, None) == Explanation("busy", Why.SHORTEST_WAIT, None, None)


def test_explain_of_another_than_the_chosen_says_passed_on() -> None:
    explanation = explain("empty", MODELS, Decision(WARM, (EMPTY,)))
    assert (explanation.why, explanation.is_cold, explanation.wait_s) == (Why.PASSED_ON, True, 20.0)
    assert [one.server for one in explanation.others] == ["warm"]
    unknown = explain("elsewhere", MODELS, Decision(WARM, (EMPTY,)))
    assert (unknown.why, unknown.is_cold, unknown.wait_s) == (Why.PASSED_ON, None, None)


def test_shown_models_are_plain_file_names() -> None:
    assert shown_models(["x/y\\z/模型 v1.safetensors", "z/模型 v1.safetensors"]) == ("模型 v1.safetensors",)
    hostile = ["https://a/b?token=secret&x.ckpt", "a\n.ckpt", "\u202e.ckpt", "x" * 101, "", "a/"]
    assert shown_models(hostile) == ()
    assert len(shown_models(f"{number}.ckpt" for number in range(9))) == 4
