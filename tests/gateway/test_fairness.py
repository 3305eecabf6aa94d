"""The places of prompts in the queue of a server."""

from statemachine.gateway.prompt_request import fair_number
from statemachine.gateway.records import PromptRecord, Stage


def waiting(*clients: str) -> list[PromptRecord]:
    return [
        PromptRecord(str(number), client, None, "server", "", 0.0, stage=Stage.ACCEPTED, number=float(number))
        for number, client in enumerate(clients)
    ]


def test_first_prompt_of_a_client_comes_after_the_first_of_others() -> None:
    assert fair_number(waiting("a", "a", "a"), "b") == 0.5


def test_second_prompt_of_a_client_comes_after_the_second_of_others() -> None:
    assert fair_number(waiting("a", "b", "a", "a"), "b") == 2.5


def test_prompt_of_the_only_or_busiest_client_comes_last() -> None:
    assert fair_number(waiting(), "a") is None
    assert fair_number(waiting("a", "a"), "a") is None
    assert fair_number(waiting("a", "b"), "b") is None
