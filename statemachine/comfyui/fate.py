"""What became of a prompt: history, then the queue, then history again.

ComfyUI moves a prompt from pending to running to history under one lock, so one that is on the server is seen by this
order of looking, however it moves meanwhile. The last look also finds a prompt that an older server gave its own id.
"""

from dataclasses import replace

from statemachine.comfyui.client import ComfyClient
from statemachine.comfyui.records import HistoryEntry
from statemachine.core import events
from statemachine.core.attempt import Attempt
from statemachine.core.vocabulary import Source

RECENT = 20
"""Entries of history that are searched for our marker."""


async def look_up(client: ComfyClient, attempt: Attempt) -> events.PromptEnd | events.PromptAccepted | None:
    """How the prompt ended, that it is queued or running, or None: it is not there. Raises ComfyError."""
    entry = await client.history_entry(attempt.server_prompt_id)
    if entry is None:
        for item in await client.queue():
            if item.is_of(attempt):
                return events.PromptAccepted(attempt.prompt_id, item.prompt_id, Source.QUEUE)
        entry = await _in_history(client, attempt)
    return replace(entry.end, prompt_id=attempt.prompt_id) if entry is not None else None


async def _in_history(client: ComfyClient, attempt: Attempt) -> HistoryEntry | None:
    entry = await client.history_entry(attempt.server_prompt_id)
    if entry is not None:
        return entry
    return next((one for one in await client.newest_history(RECENT) if one.is_of(attempt)), None)
