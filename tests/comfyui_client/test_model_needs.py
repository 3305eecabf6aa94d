"""The model files that a graph loads."""

import time
from typing import Any

import orjson
import pytest

from statemachine.comfyui.model_needs import MAX_MODELS, MAX_NODES, keys_of, models_of
from statemachine.comfyui.workflow import parse_workflow


def node(class_type: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": class_type, "inputs": inputs}


GRAPH = {
    "1": node("CheckpointLoaderSimple", ckpt_name="SDXL\\Base.safetensors"),
    "2": node("LoraLoader", lora_name="style.safetensors", strength_model=1.0, model=["1", 0], clip=["1", 1]),
    "3": node("CLIPTextEncode", text="a file named cat.safetensors, painted", clip=["2", 1]),
    "4": node("SomePack.UnetGGUF", unet="flux-q4.gguf"),
    "5": node("SaveImage", images=["4", 0], filename_prefix="out.png"),
}
LISTED = {
    "CheckpointLoaderSimple": {"input": {"required": {"ckpt_name": [["SDXL\\Base.safetensors"], {}]}}},
    "UpscaleWith": {"input": {"optional": {"file": ["COMBO", {"options": ["up.json", "other.json"]}]}}},
    "LoadImage": {"input": {"required": {"image": [["a.bin", "b.pt"], {"image_upload": True}]}}},
    "Note": {"input": {"required": {"text": ["STRING", {"multiline": True}]}}},
}


def test_models_of_graph_without_object_info_goes_by_suffix() -> None:
    assert models_of(GRAPH) == {"sdxl/base.safetensors", "style.safetensors", "flux-q4.gguf"}


def test_models_of_graph_with_object_info_goes_by_listed_files() -> None:
    graph = {
        "1": node("CheckpointLoaderSimple", ckpt_name="missing.safetensors"),
        "2": node("UpscaleWith", file="up.json"),
        "3": node("LoadImage", image="a.bin"),
        "4": node("Note", text="note.safetensors"),
        "5": node("Undescribed", model="x.onnx", config="x.yaml"),
    }
    assert models_of(graph, LISTED) == {"missing.safetensors", "up.json", "x.onnx"}


def test_models_of_graph_does_not_depend_on_slashes_or_case() -> None:
    names = ["SDXL/base.safetensors", "sdxl\\Base.SAFETENSORS".replace("SAFETENSORS", "safetensors")]
    assert len({models_of({"1": node("Loader", file=name)}) for name in names}) == 1


WORKFLOW = {
    "1": node("CheckpointLoaderSimple", ckpt_name="base.safetensors"),
    "2": node("CacheBackendData //Inspire", key="sdxl", tag="t", data=["1", 0]),
    "3": node("VAELoader", vae_name="vae.pt"),
    "4": node("CacheModel //comfywarm", key="vae", tag="t", data=["3", 0]),
    "5": node("EmptyLatentImage", width=8),
    "6": node("CacheModel //comfywarm", key="latent", tag="t", data=["5", 0]),
}
KEYS = keys_of([parse_workflow("cache_models", orjson.dumps(WORKFLOW))])


def test_keys_of_workflow_files_have_the_models_behind_them() -> None:
    assert dict(KEYS) == {"sdxl": {"base.safetensors"}, "vae": {"vae.pt"}, "latent": frozenset()}


@pytest.mark.parametrize(
    ("reader", "models"),
    [
        (node("RetrieveBackendData //Inspire", key="sdxl"), {"base.safetensors"}),
        (node("CachedModel //comfywarm", key="vae"), {"vae.pt"}),
        (node("AnyPack.FromCache", key="vae"), {"vae.pt"}),
        (node("CachedModel //comfywarm", key="unheard"), {"key:unheard"}),
        (node("CachedModel //comfywarm", key="latent"), {"key:latent"}),
        (node("AnyPack.Encrypt", key="unheard"), set()),
        (node("DropModel //comfywarm", key="vae"), set()),
        (node("RemoveBackendData //Inspire", key="sdxl"), set()),
        (node("CacheModel //comfywarm", key="vae", tag="t", data=["1", 0]), set()),
    ],
)
def test_models_of_key_are_those_of_the_workflow_file(reader: dict[str, Any], models: set[str]) -> None:
    assert models_of({"1": reader}, None, KEYS) == models


@pytest.mark.parametrize(
    "graph",
    [
        None,
        [],
        "graph",
        {},
        {"1": None},
        {"1": {"class_type": 3, "inputs": {"a": "b.pt"}}},
        {"1": {"class_type": "A"}},
        {"1": {"class_type": "A", "inputs": [["a", "b.pt"]]}},
        {"1": node("A", key=None, other=["b.pt"], deep={"x": "b.pt"}, empty="", suffix=".pt", none=None)},
        {"1": node("A", long="x" * 10_000 + ".pt")},
    ],
)
def test_models_of_hostile_graph_are_none(graph: object) -> None:
    assert models_of(graph, {"A": None}) == frozenset()


@pytest.mark.parametrize("info", [{"A": []}, {"A": {"input": 3}}, {"A": {"input": {"required": []}}}, {"A": "x"}])
def test_models_of_hostile_object_info_goes_by_suffix_or_is_empty(info: dict[str, Any]) -> None:
    assert models_of({"1": node("A", file="b.pt")}, info) <= {"b.pt"}


def test_models_of_huge_graph_are_bounded() -> None:
    many = {str(number): node("A", file=f"m{number}.pt") for number in range(MAX_NODES * 3)}
    wide = {"1": node("A", **{f"i{number}": "no model" for number in range(1_000_000)})}
    began = time.process_time()
    assert len(models_of(many)) == MAX_MODELS
    assert models_of(wide) == frozenset()
    assert time.process_time() - began < 2.0
