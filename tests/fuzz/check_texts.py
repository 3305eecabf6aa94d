"""The two cache checks in words: an answer, or NotUnderstoodError."""

from contextlib import suppress

import orjson

from statemachine.comfyui.check_texts import parse_inspire_list, parse_text
from statemachine.comfyui.errors import NotUnderstoodError

TEXTS = [
    "缓存已加载。",
    "未查询到缓存pulid_eva_clip,pulid_model。",
    "未查询到缓存pulid_eva_clip，pulid_model，已经自动在后台执行缓存模型工作流。",
    "未查询到缓存，已经自动执行缓存模型工作流",
    '{"message": "缓存已加载。", "data": ["未查询到缓存a、b"]}',
    "---- [String Key Caches] ----\npulid_model: model\na: b: N/A(tag)\n\n---- [Number Key Caches] ----\n",
]
SEEDS = [text.encode() for text in TEXTS]
TOKENS = [
    "缓存已加载", "未查询到缓存", "已经自动在后台执行缓存模型工作流", "已经自动执行缓存模型工作流", "，", "、", ",",
    "。", "：", "---- [String Key Caches] ----\n", "---- [", "] ----\n", "pulid_model: ", "\n", "\r\n", "[", "]",
    "{", "}", '"', ":",
]  # fmt: skip


def one_input(data: bytes) -> None:
    """As `Reply.text` decodes an answer."""
    text = data.decode("utf-8", "replace")
    with suppress(NotUnderstoodError):
        answer = parse_text(text)
        assert not (answer.loaded and (answer.missing or answer.auto_executing)), answer
        orjson.dumps(answer.missing)
    with suppress(NotUnderstoodError):
        listed = parse_inspire_list(text)
        assert set(listed.missing(["pulid_model", "a"])) <= {"pulid_model", "a"}
