"""Measure what the daemon does on real ComfyUI servers: `python -m tests.comfyui.matrix [FOLDER ...]`.

Each FOLDER has the main.py of a ComfyUI; without any, the one of `make test-comfyui` is measured. Its Python is
`$COMFYWARM_COMFYUI_PYTHON`, by default `venv/bin/python` in the folder. One server at a time runs, in every situation,
which takes about three minutes for each version. The exit code is 1 if a cell is wrong.
"""

import argparse
import multiprocessing
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from tests.comfyui.install import InstallError
from tests.comfyui.matrix.measurement import measured
from tests.comfyui.matrix.table import FAILED, HEAD, RULE, Cells, rows_of, write
from tests.comfyui.rig import RigError


def main(arguments: Sequence[str]) -> int:
    """Measure every folder; print the table or write it into docs/comfyui.md."""
    options = parsed(arguments)
    results = {}
    try:
        for folder in options.comfyui or [None]:
            version, cells = in_new_process(folder, options.inspire, options.folder)
            results[version] = cells
            if options.write:
                write(version, cells)
    except (InstallError, RigError) as error:
        sys.exit(f"tests.comfyui.matrix: {error}")
    if not options.inspire:
        print("the row inspire is left out: no --inspire FOLDER")
    rows = [row for version, cells in results.items() for row in rows_of(version, cells)]
    print("\n".join([HEAD, RULE, *rows]))
    return 1 if any(FAILED in row for row in rows) else 0


def parsed(arguments: Sequence[str]) -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.comfyui.matrix", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument(
        "comfyui", nargs="*", type=comfyui_folder, metavar="FOLDER", help="a folder with ComfyUI's main.py"
    )
    parser.add_argument(
        "--inspire",
        type=pack_folder,
        metavar="FOLDER",
        help="a folder with Inspire-Pack; without it, the row inspire is left out",
    )
    parser.add_argument("--write", action="store_true", help="write the rows into docs/comfyui.md")
    parser.add_argument("--folder", type=Path, help="folder of logs; default: a new temporary folder")
    return parser.parse_args(arguments)


def comfyui_folder(text: str) -> Path:
    """Return the absolute path of a ComfyUI. Raises ArgumentTypeError if it is not one."""
    return folder_with(text, "main.py", "a checkout of ComfyUI")


def pack_folder(text: str) -> Path:
    """Return the absolute path of an Inspire-Pack. Raises ArgumentTypeError if it is not one."""
    return folder_with(text, "inspire/backend_support.py", "a checkout of ltdrdata/ComfyUI-Inspire-Pack")


def folder_with(text: str, file: str, what: str) -> Path:
    if not (Path(text) / file).is_file():
        raise argparse.ArgumentTypeError(f"{text} has no {file}; give the folder of {what}")
    return Path(text).resolve()


def in_new_process(folder: Path | None, pack: Path | None, logs: Path | None) -> tuple[str, Cells]:
    """Measure in a process of its own, because ComfyUI's Python and folder are read once for each process."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(measured, folder, pack, logs).result()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
