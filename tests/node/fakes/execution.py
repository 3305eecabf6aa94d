"""A fake of ComfyUI's execution.py in an old release. test_starter.py has the signatures of newer ones."""

from typing import Any


def validate_prompt(prompt: dict[str, Any]) -> tuple[bool, Any, list[str], dict[str, Any]]:
    return True, None, list(prompt), {}
