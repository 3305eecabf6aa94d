"""Prometheus' format of targets: what is wrong with one of them refuses only that one."""

from typing import Any

import pytest

from statemachine.discovery.source import SourceError
from statemachine.discovery.target import MAX_TARGETS
from statemachine.discovery.target_groups import parse_groups
from statemachine.i18n.render import render


def parsed(data: Any) -> tuple[list[str], list[str]]:
    listing = parse_groups(data, "http")
    urls = [target.address.url for target in listing.targets]
    return urls, [render(refusal.message, "en") for refusal in listing.refusals]


def test_groups_give_targets_with_their_labels() -> None:
    listing = parse_groups([{"targets": ["gpu1:8188", "[::1]:8189"], "labels": {"zone": "a"}}], "https")
    assert [target.address.url for target in listing.targets] == ["https://gpu1:8188", "https://[::1]:8189"]
    assert {target.labels["zone"] for target in listing.targets} == {"a"}


def test_scheme_comes_from_label_or_url() -> None:
    data = [{"targets": ["gpu1:8188"], "labels": {"__scheme__": "https"}}, {"targets": ["https://gw.example/comfy/"]}]
    assert parsed(data)[0] == ["https://gpu1:8188", "https://gw.example/comfy"]


@pytest.mark.parametrize(
    ("group", "refused"),
    [
        ({"targets": ["gpu1:99999"]}, "[0].targets[0] 'gpu1:99999': "),
        ({"targets": [17]}, "[0].targets[0]: not a text"),
        ({"targets": ["http://user:pw@gpu1:8188"]}, "[0].targets[0] '"),
        ({"targets": ["http://gpu[1-9]:8188"]}, "[0].targets[0] '"),
        (
            {"targets": ["gpu1:8188"], "labels": {"__scheme__": "ftp"}},
            "[0].targets[0] 'gpu1:8188': the label __scheme__",
        ),
        ({"targets": ["gpu1:8188"], "labels": {"a": 1}}, "[0].labels: "),
        ({"targets": ["gpu1:8188"], "labels": [1]}, "[0].labels: "),
        ({"targets": "gpu1:8188"}, "[0]: "),
        ({}, "[0]: "),
        ("gpu1:8188", "[0]: "),
        (None, "[0]: "),
    ],
)
def test_wrong_group_is_refused_alone(group: Any, refused: str) -> None:
    urls, refusals = parsed([group, {"targets": ["gpu2:8188"]}])
    assert urls == ["http://gpu2:8188"]
    assert len(refusals) == 1
    assert refusals[0].startswith(refused)
    assert "pw" not in refusals[0]


@pytest.mark.parametrize("data", [None, {}, "text", 3, {"targets": []}])
def test_answer_that_is_not_a_list_is_an_error(data: Any) -> None:
    with pytest.raises(SourceError):
        parse_groups(data, "http")


def test_refused_targets_are_bounded_too() -> None:
    group = {"targets": ["not an address"] * MAX_TARGETS}
    urls, refusals = parsed([group] * 100_000)
    assert (urls, len(refusals)) == ([], 100)


def test_targets_are_bounded() -> None:
    urls, refusals = parsed([{"targets": [f"gpu{i}:8188" for i in range(MAX_TARGETS + 5)]}])
    assert len(urls) == MAX_TARGETS
    assert refusals == [f"[0]: more than {MAX_TARGETS} servers"]
