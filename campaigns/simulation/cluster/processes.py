"""Processes within one event loop, which can be stopped as by SIGSTOP while time goes on."""

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import Context, ContextVar, copy_context
from typing import Any

from typing_extensions import override

from campaigns.simulation.loop import VirtualLoop

PROCESS: ContextVar["Process"] = ContextVar("process")
"""The process of the running callback; unset for the simulation's own callbacks."""


class Process:
    """A process that owns every task, timer and callback started in its context."""

    def __init__(self) -> None:
        self.dead = False
        self.stopped = False
        self.tasks: set[asyncio.Future[Any]] = set()
        self.held: list[tuple[_Guard, tuple[Any, ...]]] = []
        self._context = copy_context()
        self._context.run(PROCESS.set, self)

    def create_task(self, work: Coroutine[Any, Any, Any]) -> "asyncio.Task[Any]":
        """Start a task of this process."""
        return asyncio.get_running_loop().create_task(work, context=self._context.copy())

    def call(self, function: Callable[[], object]) -> None:
        """Call a function in the context of this process."""
        self._context.copy().run(function)

    def stop(self) -> None:
        """Hold all callbacks of this process, as SIGSTOP does."""
        self.stopped = True

    def resume(self) -> None:
        """Run the held callbacks in order and continue, as SIGCONT does."""
        self.stopped = False
        held, self.held = self.held, []
        for guard, arguments in held:
            asyncio.get_running_loop().call_soon(guard, *arguments, context=guard.context)

    async def kill(self) -> None:
        """End all tasks, as SIGKILL does, even if the process is stopped."""
        self.dead = True
        while pending := [task for task in self.tasks if not task.done()]:
            for task in pending:
                task.cancel()
            self.resume()
            await asyncio.wait(pending)


class _Guard:
    """A callback of a process, held while the process is stopped."""

    __slots__ = ("callback", "context", "handle", "process")

    def __init__(self, process: Process, callback: Callable[..., object], context: Context) -> None:
        self.process, self.callback, self.context = process, callback, context
        self.handle: asyncio.Handle | None = None

    def __call__(self, *arguments: Any) -> None:
        """Run or hold the callback, unless it was cancelled while it was held."""
        if self.handle is not None and self.handle.cancelled():
            return
        if self.process.stopped:
            self.process.held.append((self, arguments))
        else:
            self.callback(*arguments)


class ProcessLoop(VirtualLoop):
    """A virtual loop that assigns callbacks, timers and tasks to processes."""

    @override
    def call_soon(self, callback: Callable[..., object], *args: Any, context: Context | None = None) -> asyncio.Handle:  # type: ignore[override]
        context = copy_context() if context is None else context
        process = context.get(PROCESS)
        if process is None or isinstance(callback, _Guard):
            return super().call_soon(callback, *args, context=context)
        guard = _Guard(process, callback, context)
        guard.handle = super().call_soon(guard, *args, context=context)
        return guard.handle

    @override
    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        context = copy_context() if context is None else context
        process = context.get(PROCESS)
        if process is None:
            return super().call_at(when, callback, *args, context=context)
        guard = _Guard(process, callback, context)
        guard.handle = timer = super().call_at(when, guard, *args, context=context)
        return timer

    @override
    def create_task(self, coro: Any, **options: Any) -> asyncio.Task[Any]:
        task = super().create_task(coro, **options)
        context: Context = copy_context() if options.get("context") is None else options["context"]
        if (process := context.get(PROCESS)) is not None:
            process.tasks.add(task)
            task.add_done_callback(process.tasks.discard)
        return task


def outside(work: Coroutine[Any, Any, Any]) -> "asyncio.Task[Any]":
    """Start a task that belongs to no process."""
    return asyncio.get_running_loop().create_task(work, context=Context())
