"""The texts of the cache checks and the companion node's JSON: an answer or NotUnderstoodError."""

from contextlib import suppress

import orjson

from statemachine.comfyui.check_texts import parse_inspire_list, parse_text
from statemachine.comfyui.errors import NotUnderstoodError
from statemachine.comfyui.frames import MAX_INSTANCE
from statemachine.comfyui.node_answers import parse_node

NODE = (
    '{"comfywarm": 1, "instance": "4f", "sequence": 7, "loading": true, "auto_started": true, '
    '"keys": {"present": [], "missing": ["a"]}}'
)
TEXTS = [
    "缓存已加载。",
    "未查询到缓存pulid_eva_clip,pulid_model。",
    "未查询到缓存pulid_eva_clip，pulid_model，已经自动在后台执行缓存模型工作流。",
    "未查询到缓存，已经自动执行缓存模型工作流",
    '{"message": "缓存已加载。", "data": ["未查询到缓存a、b"]}',
    "---- [String Key Caches] ----\npulid_model: model\na: b: N/A(tag)\n\n---- [Number Key Caches] ----\n",
    NODE,
]
SEEDS = [text.encode() for text in TEXTS]
TOKENS = [
    "缓存已加载", "未查询到缓存", "已经自动在后台执行缓存模型工作流", "已经自动执行缓存模型工作流", "，", "、", ",",
    "。", "：", "---- [String Key Caches] ----\n", "---- [", "] ----\n", "pulid_model: ", "\n", "\r\n", "[", "]",
    "{", "}", '"', ":", "comfywarm", "instance", "sequence", "keys", "present", "missing", "loading", "auto_started",
    "true", "null", "-1", "1e308",
]  # fmt: skip


def run_input(data: bytes) -> None:
    """Parse the input, decoded as `Reply.text` decodes a body."""
    text = data.decode("utf-8", "replace")
    with suppress(NotUnderstoodError):
        answer = parse_text(text)
        assert not (answer.loaded and (answer.missing or answer.auto_executing)), answer
        orjson.dumps(answer.missing)
    with suppress(NotUnderstoodError):
        listed = parse_inspire_list(text)
        assert set(listed.missing(["pulid_model", "a"])) <= {"pulid_model", "a"}
    with suppress(NotUnderstoodError):
        node_answer = parse_node(text)
        if node_answer is not None:
            assert set(node_answer.missing_of(["pulid_model"])) <= {"pulid_model"}
            assert 0 < len(node_answer.instance) <= MAX_INSTANCE
