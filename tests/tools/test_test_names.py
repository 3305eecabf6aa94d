"""The check for names of tests that are too long."""

from pathlib import Path

from tools.test_names import LONGEST, long_names


def test_long_names_of_tests_name_the_place(tmp_path: Path) -> None:
    longest = "test_".ljust(LONGEST, "x")
    tests = [f"def {longest}(): ...", f"async def {longest}y(): ...", f"def helper_{longest}(): ..."]
    (tmp_path / "test_a.py").write_text("\n".join(tests), encoding="utf-8")
    assert list(long_names(tmp_path)) == [f"{tmp_path.name}/test_a.py:2: {longest}y has 71 characters; use at most 70"]
