"""The command `comfywarm`. It is outside of the package, so that it runs when another program replaced the package.

The library python-statemachine has a package `statemachine`, too. Installed into one environment, each overwrites files
of the other.
"""

import sys
from importlib.util import find_spec
from pathlib import Path

ADVICE = (
    "the library python-statemachine is installed in this Python environment and has a package `statemachine`, too.\n"
    "Install comfywarm in an environment of its own: `pipx install comfywarm` or `uv tool install comfywarm`.\n"
    "本 Python 环境中还安装了 python-statemachine，它也有名为 statemachine 的包。请将 comfywarm 安装到独立环境："
    "`pipx install comfywarm` 或 `uv tool install comfywarm`。\n"
)


def main() -> None:
    """Run the command line, unless the package `statemachine` is another program's."""
    folder = _package_folder()
    if folder is None or not _is_ours(folder):
        _write(f"comfywarm cannot run: {ADVICE}")
        sys.exit(1)
    if (folder / "statemachine.py").exists():
        _write(f"comfywarm: warning: {ADVICE}")
    from statemachine.cli.main import main as run  # noqa: PLC0415 - not before the checks

    run()


def _package_folder() -> Path | None:
    """Return the folder from which `statemachine` would be imported. Imports nothing."""
    found = find_spec("statemachine")
    return Path(found.origin).parent if found is not None and found.origin is not None else None


def _is_ours(folder: Path) -> bool:
    is_complete = (folder / "cli" / "main.py").is_file()
    return is_complete and "comfywarm" in (folder / "__init__.py").read_text(encoding="utf-8")


def _write(text: str) -> None:
    """Write to stderr in any locale."""
    sys.stderr.buffer.write(text.encode(sys.stderr.encoding or "utf-8", "replace"))


if __name__ == "__main__":
    main()
