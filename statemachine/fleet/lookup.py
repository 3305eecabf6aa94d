"""Look one prompt up until it is found, or until its absence is confirmed."""

from dataclasses import dataclass

from statemachine.comfyui.errors import ComfyError
from statemachine.core import events
from statemachine.core.messages import NO_MESSAGE, Message, message
from statemachine.core.server import Attempt
from statemachine.core.vocabulary import Reason
from statemachine.fleet.clock import loop_time
from statemachine.fleet.context import ServerContext

GONE_S = 5.0
"""How long an accepted prompt must be absent from a server that has not restarted: its connection is still open."""

RESTORE_S = 15.0
"""How long an accepted prompt may be absent: a plug-in may restore the queue after a restart, and a gateway may have a
prompt neither in its queue nor in its history for a moment. ComfyUI itself moves a prompt under one lock."""

SHORTEST_PAUSE_S = 0.2

Result = events.PromptEnd | events.PromptAccepted | events.PromptAbsent | events.PromptRefused


def receives_frames(context: ServerContext, attempt: Attempt) -> bool:
    """Return whether the connection that receives the prompt's frames is still open."""
    return attempt.client_id is not None and attempt.client_id == context.server.client_id


@dataclass(slots=True, eq=False)
class Lookup:
    """The lookups of one prompt. `absent_since` is loop time; `trouble` is why the last lookup decided nothing."""

    context: ServerContext
    attempt: Attempt
    absent_since: float | None = None
    was_found: bool = False
    trouble: Message = NO_MESSAGE

    async def look(self) -> Result | None:
        """Look once. Return the prompt's end, that the server has it, or its confirmed absence; None if undecided."""
        is_last = self.absent_since is not None and loop_time() - self.absent_since >= self._grace_s
        try:
            found = await self.context.client.find_prompt(self.attempt, thorough=is_last)
        except ComfyError as error:
            self.absent_since, self.trouble = None, error.message
            return None
        if found is not None:
            self._note_found(found)
            return found
        if is_last:
            return await self._absence()
        self.trouble = message("prompt_absent")
        if self.absent_since is None:
            self.absent_since = loop_time()
        return None

    @property
    def pause_s(self) -> float:
        """The pause before the next lookup."""
        return max(SHORTEST_PAUSE_S, min(self.context.fleet.settings.timing.retry_s, self._grace_s / 4))

    @property
    def _grace_s(self) -> float:
        """How long the prompt must be absent. A POST without an answer may arrive late."""
        lost_grace_s = self.context.fleet.settings.timing.lost_grace_s
        if self.attempt.accepted_at is None:
            return lost_grace_s
        return min(lost_grace_s, GONE_S if receives_frames(self.context, self.attempt) else RESTORE_S)

    def _note_found(self, found: events.PromptEnd | events.PromptAccepted) -> None:
        """Show that a prompt left the queue and is in it again: chance decides which of several servers answers."""
        had_it = self.was_found or self.attempt.accepted_at is not None
        is_back = had_it and self.absent_since is not None and isinstance(found, events.PromptAccepted)
        if is_back and not self._may_have_restarted:
            self.context.note_trouble(message("answers_contradict"))
        self.was_found, self.absent_since = True, None

    async def _absence(self) -> events.PromptAbsent | events.PromptRefused:
        attempt, server = self.attempt, self.context.server
        if attempt.answered and attempt.accepted_at is None:
            return events.PromptRefused(Reason.PROMPT_REFUSED, attempt.message)
        if attempt.rate_limited and attempt.accepted_at is None:
            return events.PromptRefused(Reason.RATE_LIMITED, attempt.message)
        if server.was_away_during(attempt) or await self._has_restarted():
            return events.PromptAbsent(Reason.SERVER_RESTARTED, message("away_without_prompt"))
        elsewhere = attempt.accepted_at is not None and not self._may_have_restarted
        return events.PromptAbsent(
            Reason.PROMPT_LOST, message("prompt_absent_elsewhere" if elsewhere else "prompt_absent")
        )

    @property
    def _may_have_restarted(self) -> bool:
        """Whether no connection has been open since the POST, as one that ends with the server's process would be."""
        return not receives_frames(self.context, self.attempt)

    async def _has_restarted(self) -> bool:
        """Return whether the companion node reports another instance than when the attempt began."""
        if self.attempt.instance is None:
            return False
        try:
            return await self.context.check.instance() not in (None, self.attempt.instance)
        except ComfyError:
            return False
