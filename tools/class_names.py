"""Check that no two classes in statemachine/ share a name. Run with `python -m tools.class_names`."""

import ast
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
PACKAGE = REPOSITORY / "statemachine"


def class_places(package: Path) -> dict[str, list[str]]:
    """Map each class name to the places that define it, as file:line."""
    places: dict[str, list[str]] = defaultdict(list)
    for path in sorted(package.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_bytes(), str(path))):
            if isinstance(node, ast.ClassDef):
                places[node.name].append(f"{path.relative_to(package.parent)}:{node.lineno}")
    return places


def duplicates(package: Path) -> Iterator[str]:
    """Yield an error for each class name that is defined more than once."""
    for name, places in class_places(package).items():
        if len(places) > 1:
            yield f'class name "{name}" is used more than once: {", ".join(places)}'


if __name__ == "__main__":
    errors = list(duplicates(PACKAGE))
    sys.exit("\n".join([*errors, "rename all but one of each"]) if errors else 0)
