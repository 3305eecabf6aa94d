"""The `extra_data` of a workflow file: what the operator's file adds to every POST, credentials included."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import SecretStr

OF_ONE_PROMPT = frozenset({"client_id", "create_time", "comfywarm"})
"""Members that ComfyUI or comfywarm sets for each prompt."""

PICTURE_INFO = "extra_pnginfo"
"""The workflow in UI format, which ComfyUI writes into pictures."""

_NAMES = "token|secret|passw|api_?key|auth|credential|cookie"
_SECRET_NAME = re.compile(_NAMES, re.IGNORECASE)
_SECRET_MEMBER = re.compile(rf'("[^"\\]*(?:{_NAMES})[^"\\]*"\s*:\s*")(?:[^"\\]|\\.)*', re.IGNORECASE)


def reusable(extra_data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the members that do not belong to the prompt from which the file was saved."""
    return {name: value for name, value in extra_data.items() if name not in OF_ONE_PROMPT}


def credentials(extra_data: Mapping[str, Any]) -> Iterator[SecretStr]:
    """Yield the texts whose names say that they are secret, such as `api_key_comfy_org`."""
    for name, value in extra_data.items():
        if name != PICTURE_INFO:
            yield from _secret_texts(name, value)


def without_credentials(text: str) -> str:
    """Return a quoted answer without the secret members of its JSON, such as those of users' prompts in /queue."""
    return _SECRET_MEMBER.sub(r"\1***", text)


def _secret_texts(name: str, value: object) -> Iterator[SecretStr]:
    if isinstance(value, str) and _SECRET_NAME.search(name):
        yield SecretStr(value)
    elif isinstance(value, dict):
        yield from (secret for inner, member in value.items() for secret in _secret_texts(inner, member))
    elif isinstance(value, list):
        yield from (secret for member in value for secret in _secret_texts(name, member))
