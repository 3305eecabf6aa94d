"""A hook that is a command: its own process group, a time limit, and a short output."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import IO

from statemachine.core.messages import Message, harmless, message, verbatim
from statemachine.repair.port import HookError
from statemachine.settings.masking import Mask

OUTPUT_LIMIT = 2_000
"""Bytes at the end of the output that an error quotes."""

KILL_WAIT_S = 2.0
"""How long a killed command may take to end; a process in a system call may not end at once."""

REST_S = 0.5
"""How long the rest of the output is read after the command has ended."""

_READ_BYTES = 16_384


async def run_command(command: Sequence[str], variables: Mapping[str, str], timeout_s: float, mask: Mask) -> None:
    """Run the command without a shell, with these variables. Raises HookError unless its status is 0.

    It runs in its own process group, which is killed at the time limit or when the call is cancelled.
    """
    tail = _Tail(mask)
    async with _read_into(tail) as (output, reading):
        process = await _started(command, variables, output)
        try:
            async with asyncio.timeout(timeout_s):
                await process.wait()
                await asyncio.wait((reading,), timeout=REST_S)
        except TimeoutError:
            raise HookError(message("hook_timed_out", seconds=timeout_s, output=tail.text)) from None
        finally:
            await _killed(process)
    _raise_for_status(process.returncode or 0, tail)


@asynccontextmanager
async def _read_into(tail: "_Tail") -> AsyncIterator[tuple[IO[bytes], "asyncio.Future[None]"]]:
    """Yield the writing end of a pipe, to be closed here once a process has it, and the reading of the other end.

    A program that the command has left behind may keep the pipe open, so reading ends with the block.
    """
    read_end, write_end = os.pipe()
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    transport, _ = await loop.connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(read_end, "rb", buffering=0)
    )
    reading = asyncio.ensure_future(_read(reader, tail))
    try:
        with os.fdopen(write_end, "wb", buffering=0) as output:
            yield output, reading
    finally:
        reading.cancel()
        await asyncio.wait((reading,))
        transport.close()


async def _read(reader: asyncio.StreamReader, tail: "_Tail") -> None:
    while data := await reader.read(_READ_BYTES):
        tail.add(data)


async def _started(
    command: Sequence[str], variables: Mapping[str, str], output: IO[bytes]
) -> asyncio.subprocess.Process:
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            env=dict(variables),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        cause = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise HookError(message("hook_not_started", cause=f"{command[0]}: {cause}")) from error
    output.close()
    return process


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
