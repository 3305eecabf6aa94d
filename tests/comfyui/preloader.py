"""Start ComfyUI servers from a process that has imported their libraries (see `preload.py`)."""

import atexit
import functools
import json
import os
import select
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.comfyui.install import HERE, environment, installed

END_S = 10.0


class ServerProcess:
    """A process that the preloader has forked."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._fd = os.pidfd_open(pid)

    @property
    def running(self) -> bool:
        return not self.wait(0.0)

    def send(self, what: signal.Signals) -> None:
        """Send a signal; does nothing if the process has ended."""
        if self.running:
            signal.pidfd_send_signal(self._fd, what)

    def wait(self, timeout_s: float) -> bool:
        """Wait until the process has ended; return False after `timeout_s` seconds."""
        poll = select.poll()
        poll.register(self._fd, select.POLLIN)
        return bool(poll.poll(timeout_s * 1000))

    def close(self) -> None:
        """Kill the process if it is running, and wait until it has ended."""
        self.send(signal.SIGKILL)
        self.wait(END_S)
        os.close(self._fd)


class Preloader:
    """The process that forks servers. They end with it, and it ends with this process."""

    def __init__(self, hash_seed: int) -> None:
        self._lock = threading.Lock()
        installation = installed()
        self._process = subprocess.Popen(
            [installation.python, HERE / "preload.py"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment(installation.root) | {"PYTHONHASHSEED": str(hash_seed)},
            text=True,
        )

    def start(self, arguments: Sequence[str], env: Mapping[str, str], folder: Path, log: Path) -> ServerProcess:
        """Start ComfyUI with these arguments, of which the first is its main file. Blocks."""
        request = {"arguments": arguments, "environment": dict(env), "folder": str(folder), "log": str(log)}
        assert self._process.stdin
        assert self._process.stdout
        with self._lock:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            return ServerProcess(int(self._process.stdout.readline()))

    def end(self) -> None:
        """End the process and with it all servers."""
        try:
            self._process.communicate(timeout=END_S)
        except subprocess.TimeoutExpired:  # the machine is busy
            self._process.kill()
            self._process.wait()


@functools.cache
def preloader(hash_seed: int) -> Preloader:
    """Return the preloader with this seed, which decides the order of ComfyUI's sets."""
    started = Preloader(hash_seed)
    atexit.register(started.end)
    return started
