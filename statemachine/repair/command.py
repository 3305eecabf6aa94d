"""A hook that is a command: its own process group, a time limit, and a short output."""

import asyncio
import os
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress

from statemachine.core.messages import Message, message, verbatim
from statemachine.core.text import harmless, without_error_number
from statemachine.repair.port import HookError
from statemachine.settings.masking import Mask

OUTPUT_LIMIT = 2_000
"""Bytes at the end of the output that an error quotes."""

KILL_WAIT_S = 2.0
"""How long a killed command may take to end; a process in a system call may not end at once."""

_READ_BYTES = 16_384


async def run_command(command: Sequence[str], variables: Mapping[str, str], timeout_s: float, mask: Mask) -> None:
    """Run the command without a shell and wait for its end. Raises HookError unless its status is 0.

    It runs in its own process group, which is killed at the time limit or when the call is cancelled.
    """
    process = await _started(command, variables)
    tail = _Tail(mask)
    try:
        async with asyncio.timeout(timeout_s):
            await _followed(process, tail)
    except TimeoutError:
        raise HookError(message("hook_timed_out", seconds=timeout_s, output=tail.text)) from None
    finally:
        await _killed(process)
    _raise_for_status(process.returncode or 0, tail)


async def _started(command: Sequence[str], variables: Mapping[str, str]) -> asyncio.subprocess.Process:
    try:
        return await asyncio.create_subprocess_exec(
            *command,
            env={**os.environ, **variables},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        raise HookError(message("hook_not_started", cause=without_error_number(str(error)))) from error


async def _followed(process: asyncio.subprocess.Process, tail: "_Tail") -> None:
    """Return when the command has ended. A process that it has left behind may keep the output open."""
    reading = asyncio.ensure_future(_read(process, tail))
    try:
        await process.wait()
        await asyncio.wait((reading,), timeout=KILL_WAIT_S)
    finally:
        reading.cancel()
        with suppress(asyncio.CancelledError):
            await reading


async def _read(process: asyncio.subprocess.Process, tail: "_Tail") -> None:
    if process.stdout is None:
        return
    while data := await process.stdout.read(_READ_BYTES):
        tail.add(data)


async def _killed(process: asyncio.subprocess.Process) -> None:
    """Kill what is left of the command's group, unless the command itself has ended: its group is then its own."""
    if process.returncode is not None:
        return
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    with suppress(TimeoutError):
        async with asyncio.timeout(KILL_WAIT_S):
            await process.wait()


def _raise_for_status(status: int, tail: "_Tail") -> None:
    if status > 0:
        raise HookError(message("hook_ended_with", status=status, output=tail.text))
    if status < 0:
        raise HookError(message("hook_killed", signal=-status, output=tail.text))


class _Tail:
    """The last bytes of an output."""

    def __init__(self, mask: Mask) -> None:
        self._mask = mask
        self._data = b""

    def add(self, data: bytes) -> None:
        """Add output; forget the beginning beyond twice the limit, in which a secret may be cut."""
        self._data = (self._data + data)[-2 * OUTPUT_LIMIT :]

    @property
    def text(self) -> Message:
        """The output, masked and on one line."""
        return shown_output(self._mask, self._data)


def shown_output(mask: Mask, data: bytes) -> Message:
    """Return the end of an output as a message: masked, on one line, at most OUTPUT_LIMIT characters."""
    text = mask.data(data).decode("utf-8", "replace").strip()
    text = harmless(" ".join(text[-OUTPUT_LIMIT:].split()))
    return verbatim(text) if text else message("hook_no_output")
