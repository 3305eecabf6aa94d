"""The version of comfywarm."""

import functools
import importlib.metadata
import tomllib
from pathlib import Path

PYPROJECT = Path(__file__).parents[1] / "pyproject.toml"


@functools.cache
def version() -> str:
    """Return the installed package's version, or that of pyproject.toml in a checkout that is not installed."""
    try:
        return importlib.metadata.version("comfywarm")
    except importlib.metadata.PackageNotFoundError:
        return _checkout_version(PYPROJECT)


def user_agent() -> str:
    """Return the User-Agent header of every request that comfywarm sends."""
    return f"comfywarm/{version()}"


def _checkout_version(pyproject: Path) -> str:
    try:
        return str(tomllib.loads(pyproject.read_text("utf-8"))["project"]["version"])
    except (OSError, ValueError, KeyError):
        return "unknown"
