"""Fuzz one target: `python -m tests.fuzz TARGET [--seconds S] [--corpus DIR]`. Exits with 0 if it finds nothing.

This needs atheris, which is not one of the project's packages. Install it and requirements.txt into a separate
environment. An input that breaks a target is saved in the corpus folder as `crash-…` and printed with its traceback.
"""

import argparse
import importlib
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.fuzz import TARGETS

MAX_INPUT_BYTES = 4096
INPUT_TIMEOUT_S = 10


def main() -> None:
    """Fuzz one target. libFuzzer ends the process."""
    options = _options()
    atheris: Any = importlib.import_module("atheris")
    with atheris.instrument_imports(include=["statemachine"]):
        target = importlib.import_module(f"tests.fuzz.{options.target}")
    folder = options.corpus or Path(tempfile.mkdtemp(prefix=f"fuzz-{options.target}-"))
    corpus = _write_seeds(folder, target.SEEDS)
    dictionary = folder / "tokens.txt"
    dictionary.write_text("".join(f'"{_escaped(token)}"\n' for token in target.TOKENS), encoding="ascii")
    print(f"target {options.target}, corpus and findings in {folder}", flush=True)
    arguments = {
        "max_total_time": options.seconds,
        "max_len": MAX_INPUT_BYTES,
        "timeout": INPUT_TIMEOUT_S,
        "dict": dictionary,
        "artifact_prefix": f"{folder}/",
        "print_final_stats": 1,
    }
    atheris.Setup(
        [sys.argv[0], *(f"-{name}={value}" for name, value in arguments.items()), str(corpus)], target.run_input
    )
    atheris.Fuzz()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("--seconds", type=int, default=600, help="duration; default: 600")
    parser.add_argument("--corpus", type=Path, help="folder for the corpus and findings; default: a new folder")
    return parser.parse_args()


def _write_seeds(folder: Path, seeds: list[bytes]) -> Path:
    """Write the seeds into the corpus folder and return it."""
    corpus = folder / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds):
        (corpus / f"seed-{number:03d}").write_bytes(seed)
    return corpus


def _escaped(token: str) -> str:
    """Return the token in the syntax of libFuzzer's dictionaries."""
    return "".join(f"\\x{byte:02x}" for byte in token.encode())


if __name__ == "__main__":
    main()
