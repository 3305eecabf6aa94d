"""describe_system: plain values of limited size from any /system_stats answer."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from statemachine.comfyui.system import describe_system, release_of
from tests.comfyui_client.test_frames import JSON

STATS = {
    "system": {
        "comfyui_version": "0.3.75",
        "python_version": "3.11",
        "pytorch_version": "2.5",
        "os": "posix",
        "argv": [],
    },
    "devices": [{"name": "cuda:0", "type": "cuda", "index": 0, "vram_total": 10, "vram_free": 4, "torch_vram_free": 1}],
}


def test_describe_system_returns_version_and_devices() -> None:
    assert describe_system(STATS) == {
        "version": "0.3.75",
        "python_version": "3.11",
        "pytorch_version": "2.5",
        "os": "posix",
        "devices": [{"name": "cuda:0", "type": "cuda", "index": 0, "vram_total": 10, "vram_free": 4}],
    }


SYSTEM = st.dictionaries(st.sampled_from(["os", "comfyui_version"]), JSON)
DEVICES = st.lists(st.dictionaries(st.sampled_from(["name", "index", "vram_free"]), JSON), max_size=3)


@given(st.fixed_dictionaries({"system": JSON | SYSTEM, "devices": JSON | DEVICES}))
def test_describe_system_any_answer_gives_same_form(stats: dict[str, Any]) -> None:
    described = describe_system(stats)
    assert set(described) == {"version", "python_version", "pytorch_version", "os", "devices"}
    orjson.dumps(described)


def test_describe_system_oversized_answer_is_limited() -> None:
    described = describe_system({"system": {"os": "x" * 10_000}, "devices": [{"name": "y" * 10_000}] * 1_000})
    assert len(orjson.dumps(described)) < 20_000


def test_describe_system_whole_numbers_are_read_from_floats() -> None:
    device = {"index": True, "vram_total": 1.7e10, "vram_free": None}
    (described,) = describe_system({"devices": [device]})["devices"]
    assert described == {"name": None, "type": None, "index": None, "vram_total": 17_000_000_000, "vram_free": None}


@pytest.mark.parametrize(
    ("version", "release"),
    [
        ("0.3.75", (0, 3)),
        ("v0.23.0-rc1", (0, 23)),
        ("ComfyUI 1.2", (1, 2)),
        ("0.3", (0, 3)),
        ("9" * 5000 + ".1", None),
        ("1." + "9" * 5000, None),
        ("nightly", None),
        ("", None),
        (None, None),
        (0.3, None),
    ],
)
def test_release_of_version_is_its_first_two_numbers(version: object, release: tuple[int, int] | None) -> None:
    assert release_of(version) == release
