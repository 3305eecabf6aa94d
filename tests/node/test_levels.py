"""Where the models of cached keys are, over fakes of ComfyUI's model management, and how often that is sent."""

from types import SimpleNamespace
from typing import Any

import pytest
from typing_extensions import override

from tests.node.conftest import FakeComfyUI

SIZE = 1_000
RAM_OF_2 = {"level": "ram", "highest": "vram"}


class FakePatcher:
    """ComfyUI's ModelPatcher: `loaded` bytes on the compute device, `pinned` in RAM where it is dynamic."""

    def __init__(self, device: str = "cuda", loaded: int = 0, *, size: int = SIZE, model: object = None) -> None:
        self.load_device = SimpleNamespace(type=device)
        self.offload_device = SimpleNamespace(type="cpu")
        self.model = model or object()
        self.loaded, self.size = loaded, size

    def loaded_size(self) -> int:
        return self.loaded

    def current_loaded_device(self) -> Any:
        return self.load_device if self.loaded else self.offload_device


class DynamicPatcher(FakePatcher):
    pinned = 0

    def is_dynamic(self) -> bool:
        return True

    def loaded_ram_size(self) -> int:
        return self.pinned


class FailingPatcher(FakePatcher):
    @override
    def loaded_size(self) -> int:
        raise AttributeError("another release")


class Management:
    """The part of comfy.model_management that loads."""

    def __init__(self) -> None:
        self.current_loaded_models: list[Any] = []
        self.loaded: list[Any] = []

    def load_models_gpu(self, patchers: list[FakePatcher]) -> None:
        self.loaded += patchers
        for patcher in patchers:
            patcher.loaded = patcher.size


@pytest.fixture
def management(comfyui: FakeComfyUI) -> Management:
    management = Management()
    comfyui.add_module("comfy.model_patcher", ModelPatcher=FakePatcher)
    module = comfyui.add_module("comfy.model_management", load_models_gpu=management.load_models_gpu)
    vars(module)["current_loaded_models"] = management.current_loaded_models
    return management


def keep(comfyui: FakeComfyUI, **data: object) -> None:
    for key, value in data.items():
        comfyui.package.NODE_CLASS_MAPPINGS["CacheModel //comfywarm"]().store(key, "tag", value)


async def levels(comfyui: FakeComfyUI, *keys: str) -> Any:
    query = "&".join(f"key={key}" for key in keys) or "peek=1"
    return (await comfyui.check_json(f"?{query}"))["levels"]


def dynamic(loaded: int, pinned: int) -> DynamicPatcher:
    patcher = DynamicPatcher(loaded=loaded)
    patcher.pinned = pinned
    return patcher


@pytest.mark.parametrize(
    ("patcher", "expected"),
    [
        (FakePatcher(loaded=SIZE), ("vram", "vram")),
        (FakePatcher(loaded=SIZE // 2), ("vram", "vram")),
        (FakePatcher(loaded=SIZE // 2 - 1), ("ram", "vram")),
        (FakePatcher(), ("ram", "vram")),
        (FakePatcher(size=0), ("ram", "vram")),
        (FakePatcher("cpu", SIZE), ("ram", "ram")),
        (FakePatcher("cpu"), ("key", "ram")),
        (dynamic(SIZE, 0), ("vram", "vram")),
        (dynamic(100, 600), ("ram", "vram")),
        (dynamic(100, 100), ("key", "vram")),
        (dynamic(0, 0), ("key", "vram")),
    ],
)
@pytest.mark.usefixtures("management")
async def test_level_follows_model_management(
    comfyui: FakeComfyUI, patcher: FakePatcher, expected: tuple[str, str]
) -> None:
    keep(comfyui, a=patcher)
    assert await levels(comfyui, "a") == {"a": dict(zip(("level", "highest"), expected, strict=True))}


@pytest.mark.parametrize(
    "data",
    [
        "text",
        None,
        5,
        object(),
        [],
        {},
        FakePatcher(loaded=5, size=0),
        FailingPatcher(),
        [FakePatcher(), FailingPatcher()],
    ],
    ids=["text", "none", "number", "object", "list", "mapping", "size unknown", "other release", "one of two"],
)
@pytest.mark.usefixtures("management")
async def test_level_of_data_without_counted_model_is_absent(comfyui: FakeComfyUI, data: object) -> None:
    keep(comfyui, a=data)
    assert await levels(comfyui, "a") == {}


async def test_level_in_release_without_model_management_is_absent(comfyui: FakeComfyUI) -> None:
    keep(comfyui, a=FakePatcher())
    assert await levels(comfyui, "a") == {}


@pytest.mark.usefixtures("management")
async def test_model_is_found_in_lists_mappings_and_attributes(comfyui: FakeComfyUI) -> None:
    patcher = FakePatcher(loaded=SIZE)
    loop: list[Any] = [patcher]
    loop.append(loop)
    keep(comfyui, a=(False, patcher), b={"x": [patcher]}, c=SimpleNamespace(patcher=patcher, name="CLIP"), d=loop)
    assert {place["level"] for place in (await levels(comfyui, "a", "b", "c", "d")).values()} == {"vram"}
    assert len(await levels(comfyui, "a", "b", "c", "d")) == 4


@pytest.mark.usefixtures("management")
async def test_level_of_key_is_that_of_model_furthest_from_highest(comfyui: FakeComfyUI) -> None:
    on_cpu, on_gpu = FakePatcher("cpu", SIZE), FakePatcher(loaded=SIZE)
    keep(comfyui, a=[on_cpu, on_gpu])
    assert await levels(comfyui, "a") == {"a": {"level": "ram", "highest": "ram"}}
    keep(comfyui, b=[on_cpu, FakePatcher(loaded=SIZE), FakePatcher()])
    assert (await levels(comfyui, "b"))["b"] == RAM_OF_2


async def test_size_is_taken_from_loaded_clone(comfyui: FakeComfyUI, management: Management) -> None:
    base = FakePatcher(loaded=SIZE, size=0)
    keep(comfyui, a=base)
    assert await levels(comfyui, "a") == {}
    clone = SimpleNamespace(model=base.model, size=SIZE)
    management.current_loaded_models.append(SimpleNamespace(model=clone, model_loaded_memory=lambda: SIZE))
    assert (await levels(comfyui, "a"))["a"]["level"] == "vram"


@pytest.mark.usefixtures("management")
async def test_keys_of_inspire_pack_have_levels_without_use(comfyui: FakeComfyUI) -> None:
    entries = {"a": ("model", (False, FakePatcher(loaded=SIZE))), 5: None}
    part = SimpleNamespace(_Cache__data=entries, __iter__=None)
    assert comfyui.package.comfy._text_entries(SimpleNamespace(_data={"model": part})) == {"a": entries["a"]}
    comfyui.add_module("pack.inspire.backend_support", cache=entries)
    assert (await levels(comfyui, "a"))["a"]["level"] == "vram"


@pytest.mark.usefixtures("management")
async def test_lower_level_counts_only_after_some_seconds(comfyui: FakeComfyUI) -> None:
    now = [100.0]
    patcher = FakePatcher(loaded=SIZE)
    keep(comfyui, a=patcher)
    watcher = comfyui.module("watcher").Watcher(lambda: now[0])
    seen = []
    for step in range(60):
        patcher.loaded = 0 if 10 <= step < 14 or step >= 20 else SIZE
        watcher.poll()
        seen.append(watcher.levels_of(["a"])["a"]["level"])
        now[0] += 0.5
    assert seen == ["vram"] * 30 + ["ram"] * 30
    patcher.loaded = SIZE
    watcher.poll()
    assert watcher.levels_of(["a"])["a"]["level"] == "vram"
    own = [frame for frame in comfyui.frames if frame["instance"] == watcher.instance]
    assert [(frame["change"], frame["levels"]["a"]["level"]) for frame in own] == [
        ("levels", "vram"), ("levels", "ram"), ("levels", "vram"),
    ]  # fmt: skip


@pytest.mark.usefixtures("management")
async def test_paging_model_sends_few_frames(comfyui: FakeComfyUI) -> None:
    """Fifty polls a second for a minute, while the model is moved at every one."""
    now = [100.0]
    patcher = FakePatcher(loaded=SIZE)
    entry = SimpleNamespace(model=patcher, model_loaded_memory=patcher.loaded_size)
    vars(comfyui.module("comfy.model_management"))["current_loaded_models"] = [entry]
    keep(comfyui, a=patcher)
    watcher = comfyui.module("watcher").Watcher(lambda: now[0])
    for step in range(3_000):
        patcher.loaded = SIZE * (step % 2)
        watcher.poll()
        now[0] += 0.02
    assert len([frame for frame in comfyui.frames if frame["instance"] == watcher.instance]) <= 61


@pytest.mark.usefixtures("management")
async def test_levels_have_limits_in_keys_and_objects(comfyui: FakeComfyUI) -> None:
    keep(comfyui, **{f"{number:04}": FakePatcher() for number in range(300)})
    places = comfyui.module("levels").places_of(comfyui.module("caches").cached_data())
    assert len(places) == 200
    keep(comfyui, deep=[[[object()] * 200] * 200, FakePatcher(loaded=SIZE)], wide=[object()] * 200 + [FakePatcher()])
    assert comfyui.module("levels").places_of({"wide": [object()] * 200 + [FakePatcher()]}) == {}


async def test_load_model_loads_only_models_below_level(comfyui: FakeComfyUI, management: Management) -> None:
    node = comfyui.package.NODE_CLASS_MAPPINGS["LoadModel //comfywarm"]
    there, away, on_cpu = FakePatcher(loaded=SIZE), FakePatcher(), FakePatcher("cpu")
    data = [there, away, on_cpu]
    assert node().load(data, "ram") == (data,)
    assert management.loaded == [on_cpu]
    assert node().load(data, "vram") == (data,)
    assert management.loaded == [on_cpu, away]
    assert node.IS_CHANGED() != node.IS_CHANGED()


async def test_load_model_passes_on_data_without_models(comfyui: FakeComfyUI) -> None:
    assert comfyui.package.NODE_CLASS_MAPPINGS["LoadModel //comfywarm"]().load("text", "vram") == ("text",)
