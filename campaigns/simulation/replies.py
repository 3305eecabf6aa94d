"""What a reply shows of a server, parsed independently of the client."""

from campaigns.simulation.ledger import ServerLedger
from campaigns.simulation.observations import (
    ended_prompts,
    has_keys,
    history_displaced,
    history_is_warm,
    job_in,
    latest_position,
    position_in,
    remaining_in,
    reports_cached,
)
from campaigns.simulation.plans import KEYLESS
from campaigns.simulation.rules import now
from statemachine.comfyui.transport import Reply


def read_reply(ledger: ServerLedger, path: str, reply: Reply, *, genuine: bool, ticket: int, tick: int) -> None:
    """Record what a reply shows; a distorted one shows only that a check was unusable."""
    if genuine:
        ledger.failures = 0
        ledger.knows_server_prompt = ledger.knows_server_prompt or ledger.mentions_prompt(reply.text)
        _read_records(ledger, path, reply.body)
        _read_queue(ledger, path, reply.body)
    _read_check(ledger, path, reply, genuine=genuine, ticket=ticket, tick=tick)


def _read_records(ledger: ServerLedger, path: str, body: bytes) -> None:
    """Record what the reply confirms about the daemon's prompts."""
    if path.startswith("/history"):
        for prompt_id, end in ended_prompts(body):
            ledger.confirmed.setdefault(prompt_id, set()).add(end)
    elif path.startswith("/api/jobs/") and (job := job_in(body)):
        prompt_id = ledger.prompt if job[0] == ledger.server_prompt else job[0]
        ledger.confirmed.setdefault(prompt_id, set()).add(job[1])
    elif path in ("/queue", "/prompt") and ledger.mentions_prompt(body.decode(errors="replace")):
        ledger.confirmed.setdefault(ledger.prompt, set()).add("accepted")


def _read_queue(ledger: ServerLedger, path: str, body: bytes) -> None:
    """Record how many prompts the reply counts."""
    remaining = remaining_in(path, body)
    if remaining is None:
        return
    if path == "/queue":
        ledger.last_queue = remaining
    if ledger.remaining is not None:
        ledger.remaining = min(ledger.remaining, remaining)
    if remaining == 0:
        ledger.auto_executing = False


def _read_check(ledger: ServerLedger, path: str, reply: Reply, *, genuine: bool, ticket: int, tick: int) -> None:
    if genuine and ledger.plan.was_bare and path.startswith("/history?"):
        cached_before = history_is_warm(reply.body, frozenset(ledger.plan.workflows))
        _note_missing(ledger, cached=cached_before, displaced=False, tick=tick)
    kind = ledger.plan.kind_of(path)
    if kind is None:
        return
    if not genuine:
        ledger.unusable = tick
        return
    if kind == "history":
        cached: bool | None = history_is_warm(reply.body, ledger.plan.checked_by_history)
    else:
        cached = reports_cached(kind, reply, ledger.plan.warm)
    if cached is None:
        ledger.unusable = tick
        return
    ledger.verdicts[kind] = (ticket, cached)
    if kind == "text" and "已经自动".encode() in reply.body:
        ledger.auto_executing = True
    if kind == "node":
        _read_companion(ledger, reply.body, cached=cached, fresh=ticket >= ledger.last_change)
    _note_missing(ledger, cached=cached, displaced=history_displaced(kind, reply.body, KEYLESS), tick=tick)


def _note_missing(ledger: ServerLedger, *, cached: bool, displaced: bool, tick: int) -> None:
    """Record what may make the daemon warm the server; a displaced workflow need not, if the cache mode is unknown."""
    if not cached or displaced:
        ledger.missing, ledger.missing_at = tick, now()
        ledger.missing_since = now() if ledger.missing_since is None else ledger.missing_since


def _read_companion(ledger: ServerLedger, body: bytes, *, cached: bool, fresh: bool) -> None:
    """Update the position with which the next frames of the companion node are compared."""
    ledger.auto_executing = not has_keys(body.decode()) and b'"loading": true' in body
    if fresh or not cached:
        ledger.companion = latest_position(ledger.companion, position_in(body))
