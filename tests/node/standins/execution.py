"""Stands in for ComfyUI's execution.py as in an old release; newer ones are in tests/node/test_starting.py."""

from typing import Any


def validate_prompt(prompt: dict[str, Any]) -> tuple[bool, Any, list[str], dict[str, Any]]:
    return True, None, list(prompt), {}
