"""Fork ComfyUI servers from a process that has imported their libraries, because each import of torch takes seconds.

ComfyUI's Python runs this file, which `preloader.py` starts. Each line of the standard input asks for a server as
JSON, and each line of the standard output is the id of its process. All of them end when the standard input ends.
"""

import contextlib
import importlib
import json
import os
import runpy
import sys
from pathlib import Path
from typing import Any

LIBRARIES = (
    "torch",
    "transformers",
    "torchsde",
    "scipy.integrate",
    "av",
    "aiohttp.web",
    "alembic.command",
    "sqlalchemy.orm",
    "pydantic_settings",
    "requests",
)
"""What ComfyUI imports. It may lack some of them."""


def main() -> None:
    """Fork one server for each request."""
    for name in LIBRARIES:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    ends_with_us = os.pipe()
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            become_server(json.loads(line), *ends_with_us)
            sys.exit()
        print(pid, flush=True)


def become_server(request: dict[str, Any], read_end: int, write_end: int) -> None:
    """Run ComfyUI in this process. Its standard input ends when the process that forked it has ended."""
    log = os.open(request["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.close(write_end)
    for standard, file in enumerate((read_end, log, log)):
        os.dup2(file, standard)
    os.environ.clear()
    os.environ.update(request["environment"])
    os.chdir(request["folder"])
    sys.argv = request["arguments"]
    sys.path[0] = str(Path(sys.argv[0]).parent)
    runpy.run_path(sys.argv[0], run_name="__main__")


if __name__ == "__main__":
    main()
