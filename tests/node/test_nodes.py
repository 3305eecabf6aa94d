"""The cache nodes over a fake ComfyUI: what they store, and when the executor runs them again."""

from typing import Any

import pytest

from tests.node.conftest import FakeComfyUI


def node_class(comfyui: FakeComfyUI, name: str) -> Any:
    return comfyui.package.NODE_CLASS_MAPPINGS[f"{name} //comfywarm"]


@pytest.mark.parametrize("name", ["CacheModel", "CachedModel", "DropModel", "LoadModel"])
async def test_node_function_exists(comfyui: FakeComfyUI, name: str) -> None:
    cls = node_class(comfyui, name)
    assert callable(getattr(cls, cls.FUNCTION))


async def test_is_changed_follows_stores_and_losses(comfyui: FakeComfyUI) -> None:
    caching, cached = node_class(comfyui, "CacheModel"), node_class(comfyui, "CachedModel")
    before = caching.IS_CHANGED(key="a", tag="t", data=None), cached.IS_CHANGED(key="a")
    comfyui.store("a")
    stored = caching.IS_CHANGED(key="a", tag="t", data=None), cached.IS_CHANGED(key="a")
    assert stored == (before[0], before[1] + 1)
    comfyui.drop("a")
    comfyui.drop("a")
    assert (caching.IS_CHANGED(key="a"), cached.IS_CHANGED(key="a")) == (stored[0] + 1, stored[1] + 1)


async def test_drop_model_is_always_changed(comfyui: FakeComfyUI) -> None:
    dropping = node_class(comfyui, "DropModel")
    assert dropping.IS_CHANGED(key="a") != dropping.IS_CHANGED(key="a")


async def test_cached_model_returns_stored_data(comfyui: FakeComfyUI) -> None:
    assert node_class(comfyui, "CacheModel")().store("a", "t", "data") == ("data",)
    assert node_class(comfyui, "CachedModel")().load("a") == ("data",)


async def test_cached_model_without_stored_data_raises(comfyui: FakeComfyUI) -> None:
    with pytest.raises(ValueError, match="nothing is cached under key 'a'"):
        node_class(comfyui, "CachedModel")().load("a")


@pytest.mark.parametrize("key", ["", "*"])
async def test_cache_model_with_reserved_key_raises(comfyui: FakeComfyUI, key: str) -> None:
    with pytest.raises(ValueError, match="invalid key"):
        node_class(comfyui, "CacheModel")().store(key, "t", None)
