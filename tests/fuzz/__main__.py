"""`python -m tests.fuzz TARGET [--seconds S] [--corpus DIR]`: exit 0 where nothing was found.

Needs atheris, which is not among the project's packages: install it, and requirements.txt, into an environment of its
own. An input that breaks a target is written into the corpus folder as `crash-…` and shown with its traceback.
"""

import argparse
import importlib
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.fuzz import TARGETS

MAX_INPUT_BYTES = 4096
SLOWEST_INPUT_S = 10


def main() -> None:
    """Fuzz one target for a while; libFuzzer ends the process."""
    options = _options()
    atheris: Any = importlib.import_module("atheris")
    with atheris.instrument_imports(include=["statemachine"]):
        target = importlib.import_module(f"tests.fuzz.{options.target}")
    folder = options.corpus or Path(tempfile.mkdtemp(prefix=f"fuzz-{options.target}-"))
    corpus = _plant(folder, target.SEEDS)
    words = folder / "tokens.txt"
    words.write_text("".join(f'"{_escaped(token)}"\n' for token in target.TOKENS), encoding="ascii")
    print(f"target {options.target}, corpus and findings in {folder}", flush=True)
    arguments = {
        "max_total_time": options.seconds,
        "max_len": MAX_INPUT_BYTES,
        "timeout": SLOWEST_INPUT_S,
        "dict": words,
        "artifact_prefix": f"{folder}/",
        "print_final_stats": 1,
    }
    atheris.Setup(
        [sys.argv[0], *(f"-{name}={value}" for name, value in arguments.items()), str(corpus)], target.one_input
    )
    atheris.Fuzz()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("--seconds", type=int, default=600, help="how long")
    parser.add_argument("--corpus", type=Path, help="a folder to keep what was learnt; default: a new one")
    return parser.parse_args()


def _plant(folder: Path, seeds: list[bytes]) -> Path:
    """The corpus folder with the seeds in it."""
    corpus = folder / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds):
        (corpus / f"seed-{number:03d}").write_bytes(seed)
    return corpus


def _escaped(token: str) -> str:
    """As libFuzzer's dictionaries write bytes."""
    return "".join(f"\\x{byte:02x}" for byte in token.encode())


if __name__ == "__main__":
    main()
