"""Paths within the repository."""

from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
RUN_SCRIPT = REPOSITORY / "run.py"
WORKFLOWS = REPOSITORY / "workflows"
DOCS = REPOSITORY / "docs"
DEPLOY = REPOSITORY / "deploy"
