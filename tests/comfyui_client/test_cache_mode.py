"""The cache mode of a server, from its arguments and its version."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statemachine.comfyui.cache_mode import CacheKind, CacheMode, cache_mode


def mode(*arguments: object, version: object = "0.33.0") -> CacheMode:
    return cache_mode({"system": {"comfyui_version": version, "argv": ["/opt/ComfyUI/main.py", *arguments]}})


@pytest.mark.parametrize(
    ("arguments", "kind"),
    [
        (["--listen", "--cache-none"], CacheKind.NONE),
        (["--cache-no"], CacheKind.NONE),
        (["--cache-classic", "--port", "8188"], CacheKind.CLASSIC),
        (["--high-ram"], CacheKind.CLASSIC),
        (["--cache-ram"], CacheKind.RAM),
        (["--cache-ram", "4.5", "--port", "64"], CacheKind.RAM),
        (["--cache-ram=4"], CacheKind.RAM),
        (["--cache-lru", "0"], CacheKind.RAM),
        (["--cache-", "--cachet", "--cache-dir", "/cache-none"], CacheKind.RAM),
        ([7, None, "--cache-none"], CacheKind.NONE),
    ],
)
def test_cache_mode_is_selected_by_arguments(arguments: list[object], kind: CacheKind) -> None:
    assert mode(*arguments) == CacheMode(kind)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["1000"], CacheMode(CacheKind.NONE)),
        (["24"], CacheMode(CacheKind.NONE)),
        (["23.9"], CacheMode(CacheKind.RAM)),
        (["2", "64"], CacheMode(CacheKind.RAM)),
        (["2", "8"], CacheMode(CacheKind.RAM, may_keep_more=True)),
        (["nan"], CacheMode(CacheKind.RAM)),
    ],
)
def test_cache_mode_under_pressure_depends_on_the_memory(values: list[str], expected: CacheMode) -> None:
    system = {"comfyui_version": "0.33.0", "ram_total": 24 * 2**30, "argv": ["main.py", "--cache-ram", *values]}
    assert cache_mode({"system": system}) == expected


@pytest.mark.parametrize(
    ("values", "total", "free", "lacks"),
    [
        (["--cache-ram", "20"], 24, 19.9, 20.0),
        (["--cache-ram", "20"], 24, 20.1, 0.0),
        (["--cache-ram", "20", "22"], 24, 3, 20.0),
        ([], 24, 2.3, 2.4),
        ([], 24, 2.5, 0.0),
        ([], 8, 1.9, 2.0),
        ([], 256, 9.9, 10.0),
        ([], 256, 0, 0.0),
        (["--cache-classic"], 24, 0.1, 0.0),
        (["--cache-lru", "9"], 24, 0.1, 0.0),
    ],
)
def test_cache_mode_under_pressure_lacks_memory(values: list[str], total: int, free: float, lacks: float) -> None:
    sizes = {"ram_total": total * 2**30, "ram_free": int(free * 2**30)}
    system = {"comfyui_version": "0.33.0", "os": "linux", **sizes, "argv": ["main.py", *values]}
    assert cache_mode({"system": system}).lacks_gib == pytest.approx(lacks)
    for windows in ("nt", "win32"):
        assert cache_mode({"system": {**system, "os": windows}}).lacks_gib == 0.0


@pytest.mark.parametrize("arguments", [["--cache-lru", "30"], ["--cache-lru=30"], ["--cache-l", "30", "--cpu"]])
def test_cache_mode_lru_has_its_size(arguments: list[object]) -> None:
    assert mode(*arguments) == CacheMode(CacheKind.LRU, 30)


@pytest.mark.parametrize(
    ("version", "kind"),
    [
        ("0.2.2", CacheKind.CLASSIC),
        ("0.22.9", CacheKind.CLASSIC),
        ("0.23.0", CacheKind.RAM),
        ("v0.33.0", CacheKind.RAM),
        ("1.0", CacheKind.RAM),
        ("nightly", CacheKind.UNKNOWN),
        ("", CacheKind.UNKNOWN),
        (None, CacheKind.UNKNOWN),
        (7, CacheKind.UNKNOWN),
    ],
)
def test_cache_mode_without_arguments_follows_the_version(version: object, kind: CacheKind) -> None:
    assert mode("--listen", version=version).kind is kind


@pytest.mark.parametrize("version", ["unknown", "nightly", "", None, 7, "0.2.2", "0.33.0"])
def test_default_cache_keeps_only_the_last_prompt_in_every_version(version: object) -> None:
    """ComfyUI 0.2.2 does not know its own version unless it runs in a git checkout."""
    assert not mode("--listen", version=version).keeps_all(1)
    assert mode("--cache-lru", "9", version=version).keeps_all(9)


@pytest.mark.parametrize(
    "stats", [{}, {"system": None}, {"system": {}}, {"system": {"argv": None, "comfyui_version": "0.33.0"}}]
)
def test_cache_mode_without_list_of_arguments_is_unknown(stats: dict[str, Any]) -> None:
    assert cache_mode(stats) == CacheMode()


@given(st.lists(st.text(max_size=20) | st.none() | st.integers()), st.text(max_size=20) | st.none())
def test_cache_mode_any_arguments_never_raise(arguments: list[object], version: object) -> None:
    assert mode(*arguments, version=version).kind in CacheKind


@pytest.mark.parametrize(
    ("kept", "mode"),
    [
        (True, CacheMode()),
        (True, CacheMode(CacheKind.LRU, 10)),
        (False, CacheMode(CacheKind.LRU, 9)),
        (False, CacheMode(CacheKind.CLASSIC)),
        (False, CacheMode(CacheKind.RAM)),
        (False, CacheMode(CacheKind.NONE)),
    ],
)
def test_keeps_all_compares_the_size(mode: CacheMode, *, kept: bool) -> None:
    assert mode.keeps_all(10) == kept
