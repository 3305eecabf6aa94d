"""The recipes of the docs."""

import re

from tests.support.paths import DOCS, REPOSITORY

LOOP = re.compile(r"^.*comfywarm tail.*\| while read.*$", re.MULTILINE)


def test_recipes_that_wait_for_the_event_log_follow_it() -> None:
    pages = [*DOCS.glob("**/*.md"), *REPOSITORY.glob("README*.md"), *REPOSITORY.glob("deploy/**/*")]
    loops = [loop for page in pages if page.is_file() for loop in LOOP.findall(page.read_text(errors="replace"))]
    assert loops
    assert [loop for loop in loops if not re.search(r" (-f|--follow) ", loop)] == []
