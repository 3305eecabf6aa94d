"""The node classes installed on simulated servers: their GET /object_info entries and how they run.

Each class is written as its `INPUT_TYPES` returns it, because ComfyUI validates graphs against that.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

Graph = dict[str, Any]
"""A workflow in ComfyUI's API format: node id → {"class_type", "inputs"}."""

RIG = "RigSlowModel"
CACHE_NODE = "CacheBackendData //Inspire"
KEEP_NODE = "CacheModel //comfywarm"
DROP_NODE = "DropModel //comfywarm"
LOAD_NODE = "LoadModel //comfywarm"
IMAGE_OUTPUTS = frozenset({"PreviewImage", "SaveImage"})
CACHE_KEYS = ("pulid_eva_clip", "pulid_face_analysis", "pulid_model", "ben2_base")
PULID_CLASSES = frozenset({"PulidFluxModelLoader", "PulidFluxEvaClipLoader", "PulidFluxInsightFaceLoader"})
PLUGIN_CLASSES = PULID_CLASSES | {CACHE_NODE, "LoadRembgByBenModel"}


@dataclass(frozen=True)
class NodeClass:
    """One installed class. `required`: input name → `[type or choices, options]`."""

    name: str
    category: str
    required: dict[str, list[Any]]
    output: tuple[str, ...] = ()
    is_output: bool = False
    loads_model: bool = False
    """The class takes the profile's load time; the rig's model takes its own `seconds`."""
    progress_steps: int = 0
    """Number of `progress` frames per run; real model loaders send none."""
    output_names: tuple[str, ...] = field(default=())
    module: str = "nodes"

    def info(self) -> dict[str, Any]:
        """Return the class as GET /object_info/{class} of ComfyUI 0.3.75 does."""
        return {
            "input": {"required": self.required},
            "input_order": {"required": list(self.required)},
            "is_input_list": False,
            "output": list(self.output),
            "output_is_list": [False] * len(self.output),
            "output_name": list(self.output_names or self.output),
            "name": self.name,
            "display_name": self.name,
            "description": "",
            "python_module": self.module,
            "category": self.category,
            "output_node": self.is_output,
        }


def catalogue(
    missing_classes: Iterable[str] = (),
    *,
    model_files: bool = True,
    strict_cache_node: bool = False,
    companion: bool = False,
) -> dict[str, NodeClass]:
    """Return the classes of one server: class name → class.

    Without `model_files` every list of files is empty, or has only another file. With `strict_cache_node` the cache
    node requires an input that no current workflow has, as after an incompatible update of its plug-in. `companion`
    adds comfywarm's nodes.
    """
    classes = [*_stock_classes(model_files), *_plugin_classes(model_files, strict_cache_node)]
    classes += _companion_classes() if companion else []
    absent = frozenset(missing_classes)
    return {node.name: node for node in classes if node.name not in absent}


def cache_workflow() -> Graph:
    """Return the workflow with which the servers fill their own cache."""
    loaders: dict[str, tuple[str, dict[str, Any]]] = {
        "pulid_eva_clip": ("PulidFluxEvaClipLoader", {}),
        "pulid_face_analysis": ("PulidFluxInsightFaceLoader", {"provider": "CPU"}),
        "pulid_model": ("PulidFluxModelLoader", {"pulid_file": "pulid_flux_v0.9.1.safetensors"}),
        "ben2_base": ("LoadRembgByBenModel", {"model": "BEN2_Base.pth", "device": "AUTO"}),
    }
    graph: Graph = {}
    for index, (key, (class_type, inputs)) in enumerate(loaders.items(), 1):
        graph[f"{index}"] = {"class_type": class_type, "inputs": inputs}
        cached = {"key": key, "tag": "model", "data": [f"{index}", 0]}
        graph[f"{index + 10}"] = {"class_type": CACHE_NODE, "inputs": cached}
    return graph


def users_job(name: str, seconds: float) -> Graph:
    """Return a user's workflow that keeps the worker busy for `seconds`."""
    return {
        "1": {"class_type": RIG, "inputs": {"name": name, "seconds": seconds}},
        "2": {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}},
    }


def _stock_classes(model_files: bool) -> list[NodeClass]:
    size = ["INT", {"default": 512, "min": 1, "max": 16384, "step": 1}]
    batch = ["INT", {"default": 1, "min": 1, "max": 4096}]
    colour = ["INT", {"default": 0, "min": 0, "max": 0xFFFFFF, "step": 1, "display": "color"}]
    prefix = ["STRING", {"default": "ComfyUI"}]
    checkpoints = ["sd_xl_base_1.0.safetensors", "flux1-dev-fp8.safetensors"] if model_files else []
    return [
        NodeClass(
            "EmptyImage",
            "image",
            {"width": size, "height": size, "batch_size": batch, "color": colour},
            ("IMAGE",),
        ),
        NodeClass("EmptyLatentImage", "latent", {"width": size, "height": size, "batch_size": batch}, ("LATENT",)),
        NodeClass("VAEDecode", "latent", {"samples": ["LATENT", {}], "vae": ["VAE", {}]}, ("IMAGE",)),
        NodeClass("PreviewImage", "image", {"images": ["IMAGE"]}, is_output=True),
        NodeClass("SaveImage", "image", {"images": ["IMAGE", {}], "filename_prefix": prefix}, is_output=True),
        NodeClass(
            "CheckpointLoaderSimple",
            "loaders",
            {"ckpt_name": [checkpoints, {"tooltip": "The name of the checkpoint (model) to load."}]},
            ("MODEL", "CLIP", "VAE"),
            loads_model=True,
        ),
    ]


def _plugin_classes(model_files: bool, strict_cache_node: bool) -> list[NodeClass]:
    text = ["STRING", {"multiline": False}]
    ben_files = ["BEN2_Base.pth" if model_files else "BEN1_Base.pth"]
    strict = {"backend": [["cpu", "disk"]]} if strict_cache_node else {}
    return [
        NodeClass(
            RIG,
            "rig",
            {"name": ["STRING", {"default": "model"}], "seconds": ["FLOAT", {"default": 1.0, "min": 0.0}]},
            ("IMAGE",),
            loads_model=True,
            progress_steps=10,
            module="custom_nodes.rig",
        ),
        NodeClass(
            CACHE_NODE,
            "InspirePack/Backend",
            {"key": text, "tag": text, "data": ["*"], **strict},
            ("*",),
            is_output=True,
            output_names=("data opt",),
            module="custom_nodes.comfyui-inspire-pack",
        ),
        _loader(
            "PulidFluxModelLoader", "PULIDFLUX", {"pulid_file": _files("pulid_flux_v0.9.1.safetensors", model_files)}
        ),
        _loader("PulidFluxEvaClipLoader", "EVA_CLIP", {}),
        _loader("PulidFluxInsightFaceLoader", "FACEANALYSIS", {"provider": ["CPU", "CUDA", "ROCM"]}),
        _loader("LoadRembgByBenModel", "BEN", {"model": ben_files, "device": ["AUTO", "CPU"]}),
    ]


def _companion_classes() -> list[NodeClass]:
    text: list[Any] = ["STRING", {"multiline": False}]
    keep = {"key": text, "tag": text, "data": ["*"]}
    module = "custom_nodes.comfywarm"
    return [
        NodeClass(KEEP_NODE, "comfywarm", keep, ("*",), is_output=True, output_names=("data",), module=module),
        NodeClass(DROP_NODE, "comfywarm", {"key": text}, is_output=True, module=module),
        NodeClass(LOAD_NODE, "comfywarm", {"data": ["*"], "warm": [["ram", "vram"]]}, ("*",), module=module),
    ]


def _loader(name: str, output: str, choices: Mapping[str, list[str]]) -> NodeClass:
    required = {choice: [options] for choice, options in choices.items()}
    return NodeClass(name, "loaders", required, (output,), loads_model=True, module="custom_nodes.loaders")


def _files(name: str, present: bool) -> list[str]:
    return [name] if present else []
