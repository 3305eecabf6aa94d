"""What a server says of itself: cut down to plain values of known size."""

from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from statemachine.comfyui.system import describe_system
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


def test_the_version_and_the_devices_are_kept() -> None:
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
def test_whatever_is_said_comes_out_in_the_same_form_and_can_be_shown(stats: dict[str, Any]) -> None:
    shown = describe_system(stats)
    assert set(shown) == {"version", "python_version", "pytorch_version", "os", "devices"}
    orjson.dumps(shown)


def test_there_is_a_bound_to_what_is_kept() -> None:
    shown = describe_system({"system": {"os": "x" * 10_000}, "devices": [{"name": "y" * 10_000}] * 1_000})
    assert len(orjson.dumps(shown)) < 20_000
