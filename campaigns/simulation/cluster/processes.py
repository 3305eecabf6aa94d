"""Processes within one loop: what belongs to one stands still while it is stopped, as by SIGSTOP, and time goes on."""

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import Context, ContextVar, copy_context
from typing import Any

from typing_extensions import override

from campaigns.simulation.loop import VirtualLoop

PROCESS: ContextVar["Process"] = ContextVar("process")
"""Whose the running callback is; unset for the world's own."""


class Process:
    """Tasks, timers and callbacks that are begun in it belong to it. `dead` is the moment of its death."""

    def __init__(self) -> None:
        self.dead = False
        self.stopped = False
        self.tasks: set[asyncio.Future[Any]] = set()
        self.held: list[tuple[_Guard, tuple[Any, ...]]] = []
        self._context = copy_context()
        self._context.run(PROCESS.set, self)

    def begin(self, work: Coroutine[Any, Any, Any]) -> "asyncio.Task[Any]":
        """A task of this process."""
        return asyncio.get_running_loop().create_task(work, context=self._context.copy())

    def run(self, call: Callable[[], object]) -> None:
        """Call what begins timers of this process."""
        self._context.copy().run(call)

    def stop(self) -> None:
        """SIGSTOP: from now on nothing of it runs."""
        self.stopped = True

    def go_on(self) -> None:
        """SIGCONT: what has come due meanwhile runs at once, in its order."""
        self.stopped = False
        held, self.held = self.held, []
        for guard, arguments in held:
            asyncio.get_running_loop().call_soon(guard, *arguments, context=guard.context)

    async def kill(self) -> None:
        """SIGKILL: nothing leaves it from now on, whether it was stopped or not."""
        self.dead = True
        while pending := [task for task in self.tasks if not task.done()]:
            for task in pending:
                task.cancel()
            self.go_on()
            await asyncio.wait(pending)


class _Guard:
    """A callback of a process, held back while that is stopped."""

    __slots__ = ("callback", "context", "handle", "process")

    def __init__(self, process: Process, callback: Callable[..., object], context: Context) -> None:
        self.process, self.callback, self.context = process, callback, context
        self.handle: asyncio.Handle | None = None

    def __call__(self, *arguments: Any) -> None:
        """In its turn. It may have been cancelled while it was held back."""
        if self.handle is not None and self.handle.cancelled():
            return
        if self.process.stopped:
            self.process.held.append((self, arguments))
        else:
            self.callback(*arguments)


class ProcessLoop(VirtualLoop):
    """A loop that knows of processes."""

    @override
    def call_soon(self, callback: Callable[..., object], *args: Any, context: Context | None = None) -> asyncio.Handle:  # type: ignore[override]
        """As a loop's."""
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
        """As a loop's. A dead process has no timers."""
        context = copy_context() if context is None else context
        process = context.get(PROCESS)
        if process is None:
            return super().call_at(when, callback, *args, context=context)
        guard = _Guard(process, callback, context)
        guard.handle = timer = super().call_at(when, guard, *args, context=context)
        return timer

    @override
    def create_task(self, coro: Any, **options: Any) -> asyncio.Task[Any]:
        """As a loop's."""
        task = super().create_task(coro, **options)
        context: Context = options.get("context") or copy_context()
        if (process := context.get(PROCESS)) is not None:
            process.tasks.add(task)
            task.add_done_callback(process.tasks.discard)
        return task


def outside(work: Coroutine[Any, Any, Any]) -> "asyncio.Task[Any]":
    """A task of the world's own, which no process's stop or death concerns."""
    return asyncio.get_running_loop().create_task(work, context=Context())
