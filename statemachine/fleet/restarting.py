"""The tasks of a server whose restart hook is recorded, and of a paused one.

The hook is run once; then the task waits until another process of the server answers. A pause ends at its time.
"""

import asyncio
from dataclasses import dataclass

from loguru import logger

from statemachine.comfyui.errors import AbsentError, ComfyError, NotUnderstoodError
from statemachine.core import events
from statemachine.core.messages import NO_MESSAGE, Message, joined, message
from statemachine.core.restart import Restart
from statemachine.core.vocabulary import Reason
from statemachine.fleet.clock import loop_time
from statemachine.fleet.context import RunningHook, ServerContext
from statemachine.repair.port import HookError

Hook = asyncio.Task[events.RestartFailed | None]

WARM_LIMITS = 4
"""Time limits of a warm-up, `warm_timeout_s`, within which a server that has returned must be loaded."""

LOOK_S = 0.5
"""Pause between two looks while the server may be going: one that returns quickly is away for a second."""

PAUSE_LOOK_S = 60.0
"""The longest wait between two looks at the wall clock, which may be set."""


async def restart(context: ServerContext) -> None:
    """Run the hook if this task has recorded it, and look for another process of the server until the time limit.

    A hook that has begun is not ended with this task: a reload, a pause or a removal must not leave a server stopped.
    """
    pending = context.server.open_restart
    if pending is None:
        return
    is_due, context.hook_due = context.hook_due == pending.id, None
    name, hooks = context.config.name, context.fleet.running_hooks
    if is_due:
        hooks[name] = RunningHook(pending.id, asyncio.create_task(_run_hook(context, pending)))
        hooks[name].task.add_done_callback(lambda _: hooks.pop(name, None))
    hook = context.running_hook
    context.post(await _watch(context, _Return(context, pending, is_resumed=hook is None), hook))


def warm_limit_s(context: ServerContext) -> float:
    """Return how long a server that has returned may take to be loaded: its longest warm-up, and a wait before it."""
    return WARM_LIMITS * context.fleet.settings.timing.warm_timeout_s


def warm_left_s(context: ServerContext) -> float | None:
    """Return the rest of this time limit, which a restart of the daemon does not extend. None if nothing returned."""
    restart, limit_s = context.server.open_restart, warm_limit_s(context)
    if restart is None or restart.has_hook_begun or restart.returned_at is None:
        return None
    return max(0.0, limit_s - context.restart_age_s(restart.returned_at))


async def await_hook(context: ServerContext) -> None:
    """Wait for the end of the hook that was running when the server was paused, and report it."""
    if context.server.open_restart is None:
        return
    is_due, context.hook_due = context.hook_due is not None, None
    if (hook := context.running_hook) is not None:
        await asyncio.wait((hook,))
        context.post(hook.result() or events.PausedHookEnded(message("paused_hook_ended")))
    else:
        context.post(events.PausedHookEnded(message("paused_hook_not_run" if is_due else "hook_interrupted")))


async def _run_hook(context: ServerContext, pending: Restart) -> events.RestartFailed | None:
    """Run the hook; return its failure. An unexpected exception is one too: the hook may have run."""
    context.detail.count("restart_hooks")
    try:
        await context.fleet.hooks.run(context.config, pending)
    except HookError as error:
        return events.RestartFailed(Reason.HOOK_FAILED, error.message)
    except Exception as error:
        logger.exception("{}: the restart hook failed", context.config.name)
        cause = message("internal_error", error=type(error).__name__)
        return events.RestartFailed(Reason.HOOK_FAILED, cause)
    return None


async def _watch(
    context: ServerContext, returning: "_Return", hook: Hook | None
) -> events.ServerReturned | events.RestartFailed:
    """Return how the restart went: the hook failed, the server is back, or the time is over."""
    settings = context.config.restart
    context.waits(message("wait.hook"), settings.hook_timeout_s, at_most=True)
    if hook is not None:
        while not hook.done():
            await returning.look()
            await asyncio.wait((hook,), timeout=LOOK_S)
        if (failure := hook.result()) is not None:
            return failure
    until = loop_time() + (settings.return_timeout_s if hook is not None else returning.left_s)
    context.waits(message("wait.return"), until - loop_time(), at_most=True)
    while True:
        await returning.look()
        if returning.is_back:
            context.returns += 1
            context.forget_process()
            return events.ServerReturned()
        if loop_time() >= until:
            return returning.failure()
        await asyncio.sleep(min(LOOK_S, context.fleet.settings.timing.retry_s))


@dataclass(slots=True)
class _Return:
    """The looks for another process of the server.

    `is_resumed`: an earlier run of the daemon recorded the hook, and may have run it or not. `answers`: the last
    request was answered. `same`: the last look has shown the process from before the hook, or another one; None if
    nothing shows it. `trouble` is why the last request was not answered as ComfyUI answers it.
    """

    context: ServerContext
    restart: Restart
    is_resumed: bool = False
    answers: bool = False
    same: bool | None = None
    trouble: Message = NO_MESSAGE

    @property
    def left_s(self) -> float:
        """The rest of the time limit for a hook that an earlier run of the daemon recorded."""
        settings, began = self.context.config.restart, self.restart.hook_started_at
        age_s = self.context.restart_age_s(began) if began is not None else 0.0
        return max(0.0, settings.hook_timeout_s + settings.return_timeout_s - age_s)

    @property
    def is_back(self) -> bool:
        """Whether another process answers. Where neither instance nor history shows it, the server must have gone."""
        if not self.answers or self.same:
            return False
        return self.same is False or self.context.server.process_went

    async def look(self) -> None:
        """Ask the cheapest route, and if it answers, whether this is the same process."""
        try:
            await self.context.client.queue_remaining()
            self.same = await self._is_same()
        except ComfyError as error:
            self.answers, self.trouble = False, error.message
        else:
            self.answers = True
            if self.same and self.context.server.process_went:
                self.context.post(events.OldProcessSeen())

    async def _is_same(self) -> bool | None:
        instance = await self._instance() if self.restart.instance is not None else None
        if instance is not None:
            return instance == self.restart.instance
        if self.restart.mark is None:
            return None
        return await self.context.client.history_entry(self.restart.mark) is not None

    async def _instance(self) -> str | None:
        """Return the instance of the companion node, None if the server has come back without the node.

        Raises ComfyError if the answer shows neither and nothing else identifies the process.
        """
        try:
            return await self.context.check.instance()
        except AbsentError:
            return None
        except NotUnderstoodError:
            if self.restart.mark is None:
                raise
            return None

    def failure(self) -> events.RestartFailed:
        """Return why the server is not back."""
        seconds = self.context.config.restart.return_timeout_s
        if not self.answers:
            silent = message("not_returned_in", seconds=seconds, cause=self.trouble)
            return events.RestartFailed(Reason.NOT_RETURNED, silent)
        seen = message("not_restarted_in" if self.same else "restart_unconfirmed", seconds=seconds)
        why = joined([seen, message("hook_interrupted")]) if self.is_resumed else seen
        return events.RestartFailed(Reason.NOT_RESTARTED, why)


async def end_pause(context: ServerContext) -> None:
    """Wait for the end of the pause, which another request may move, and report it."""
    while (until := context.server.pause.until) is not None:
        left = until - context.fleet.clock.now()
        if left <= 0.0:
            context.post(events.PauseEnded())
            return
        await context.wait(min(left, PAUSE_LOOK_S))
