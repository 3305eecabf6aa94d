"""The check for class names that are used more than once."""

from pathlib import Path

from tools.class_names import duplicates


def write(package: Path, name: str, text: str) -> None:
    package.mkdir(exist_ok=True)
    (package / name).write_text(text, encoding="utf-8")


def test_duplicates_with_same_class_in_two_files_names_both_places(tmp_path: Path) -> None:
    package = tmp_path / "package"
    write(package, "one.py", "class Same: ...\n")
    write(package, "two.py", "\n\ndef make():\n    class Same: ...\n")
    assert list(duplicates(package)) == [
        'class name "Same" is used more than once: package/one.py:1, package/two.py:4',
    ]


def test_duplicates_with_unique_classes_is_empty(tmp_path: Path) -> None:
    package = tmp_path / "package"
    write(package, "one.py", "class One: ...\nOne = One\n")
    write(package, "two.py", "class Two: ...\n")
    assert list(duplicates(package)) == []
