"""Check that no name of a test is longer than 70 characters. Run with `python -m tools.test_names`."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
LONGEST = 70


def long_names(folder: Path) -> Iterator[str]:
    """Yield an error for each test below the folder whose name is too long."""
    for path in sorted(folder.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_bytes(), str(path))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and _is_long(node.name):
                place = f"{path.relative_to(folder.parent)}:{node.lineno}"
                yield f"{place}: {node.name} has {len(node.name)} characters; use at most {LONGEST}"


def _is_long(name: str) -> bool:
    return name.startswith("test_") and len(name) > LONGEST


if __name__ == "__main__":
    sys.exit("\n".join(long_names(REPOSITORY / "tests")) or 0)
