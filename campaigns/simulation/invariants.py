"""The rules that are never broken, asserted at every step by somebody who sees both ends of every wire.

`loaded` and `cold` are judged by what had been delivered to the daemon; double warm-ups by what is on the servers and
on the network. The readings of checks and frames are its own, not the client's.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Sequence

from campaigns.simulation.ledger import ServerLedger, SharedLedger, workflows_of_ours
from campaigns.simulation.observations import (
    ENDS,
    ended_prompts,
    has_keys,
    history_is_warm,
    later,
    position_in,
    remaining_in,
    says_cached,
)
from campaigns.simulation.rules import IN_FLIGHT, TransitionRules, now
from campaigns.simulation.wire import prompt_of
from statemachine.comfyui.transport import Reply
from statemachine.core.log_entry import Transition
from statemachine.core.vocabulary import Reason, State
from statemachine.i18n.render import sentence
from statemachine.journal.rows import Row
from statemachine.journal.store import Write
from statemachine.settings import Settings

ALLOWED_GETS = ("/prompt", "/queue", "/system_stats", "/cache/check", "/inspire/cache/list")
ALLOWED_FOLDERS = ("/history", "/object_info/")
DIALS_A_MINUTE = 30
REQUESTS_A_MINUTE = 600
FRUITLESS_WRITES_A_SECOND = 20
PROGRESS = tuple(f'{{"type": "{kind}"' for kind in ("executing", "progress_state", "execution_cached"))


class Invariants:
    """Judges one daemon. `accuse(server, what)` is told of the first violation; `note(server, what)` of everything.

    Daemons that share a fleet have one `common`.
    """

    def __init__(
        self,
        settings: Settings,
        accuse: Callable[[str, str], None],
        note: Callable[..., None],
        shared_ledger: SharedLedger | None = None,
    ) -> None:
        self.ledgers: dict[str, ServerLedger] = {}
        self.warm_ups: Counter[str] = Counter()
        self.last_seq = 0
        self.told: dict[int, tuple[str | None, str | None]] = {}
        self._settings = settings
        self._accuse, self._note = accuse, note
        shared_ledger = shared_ledger or SharedLedger(self.ledgers.values)
        self._rules = TransitionRules(settings, shared_ledger.fleet, accuse)
        self._tick = 0
        self.submission = shared_ledger.submission
        self._committed, self._posted, self._client_ids = (
            shared_ledger.committed,
            shared_ledger.posted,
            shared_ledger.client_ids,
        )
        self._fruitless: deque[float] = deque()
        self._told_seq = 0

    # The daemon's life

    def daemon_started(self) -> None:
        """A new daemon, which remembers the journal only."""
        for ledger in self.ledgers.values():
            ledger.reset(now())

    def placed(self, name: str, state: State) -> None:
        """A runner begins: at the daemon's start, or because a reload has added or changed the server."""
        self.ledgers[name].reset(now())
        self.ledgers[name].state = state

    def told_entry(self, seq: int | None, server: str | None, dest: str | None) -> None:
        """An entry was published."""
        if seq is None:
            return
        if seq <= self._told_seq:
            self._accuse(server or "-", f"rule 7: log id {seq} was told after {self._told_seq}")
        self._told_seq = seq
        self.told[seq] = (server, dest)

    # Requests

    def request_left(self, name: str, method: str, path: str, body: bytes | None) -> int:
        """A request leaves the daemon; the tick that stands for it."""
        self._tick += 1
        ledger, route = self.ledgers[name], path.partition("?")[0]
        self._limit(name, ledger.requests, REQUESTS_A_MINUTE, "requests")
        if method == "POST" and path == "/prompt" and body is not None:
            self._post_leaves(name, ledger, body)
        elif method != "GET" or body is not None:
            self._accuse(name, f"rules 1 and 6: {method} {path} with {len(body or b'')} bytes was sent")
        elif route not in ALLOWED_GETS and not route.startswith(ALLOWED_FOLDERS):
            self._accuse(name, f"rule 6: GET {path} was sent")
        if route == "/cache/check":
            self._note(name, "asks", path)
            if ledger.told_auto:
                self._accuse(name, "rule 3: the check was asked while the server loads by itself")
        return self._tick

    def _post_leaves(self, name: str, ledger: ServerLedger, body: bytes) -> None:
        prompt_id, workflow = prompt_of(body)
        self._note(name, "POST", prompt_id, workflow)
        self.warm_ups[name] += 1
        self._mark_submission()
        ledger.prompt, ledger.moved_at = prompt_id, now()
        if prompt_id not in self._committed:
            self._accuse(name, f"rule 2: {prompt_id} was posted and is not in the journal")
        if prompt_id in self._posted:
            self._accuse(name, f"rule 2: {prompt_id} was posted a second time")
        self._posted.add(prompt_id)
        if workflow in ledger.wire.travelling.values():
            self._accuse(name, f"rule 2: POST of {workflow} while an earlier one may still be accepted")
        if workflow in workflows_of_ours(ledger):
            self._accuse(name, f"rule 2: POST of {workflow} while an earlier one is queued or running")
        if ledger.told_auto:
            self._accuse(name, "rule 3: POST while the server loads by itself")

    def post_processed(self, name: str, prompt_id: str, status: int) -> None:
        """A server has answered a POST."""
        self._note(name, "server answers POST", prompt_id, status)
        ours = workflows_of_ours(self.ledgers[name])
        if len(ours) != len(set(ours)):
            self._accuse(name, f"rule 2: the server holds {ours} of ours")

    def request_failed(self, name: str, path: str) -> None:
        """Nothing came back."""
        ledger = self.ledgers[name]
        ledger.failures += 1
        self._note(name, "no answer to", path)
        if ledger.failures >= self._settings.reachability.fall:
            ledger.told_auto = False
        if path.startswith("/cache/check"):
            ledger.unusable = self._next()

    def reply_delivered(self, name: str, path: str, reply: Reply, *, genuine: bool, ticket: int) -> None:
        """An answer reaches the daemon."""
        tick, ledger = self._next(), self.ledgers[name]
        self._note(name, "answer" if genuine else "distorted answer", path, reply.status, reply.body[:60])
        if genuine:
            ledger.failures = 0
            self._read_records(ledger, path, reply.body)
            self._read_queue(ledger, path, reply.body)
        self._read_check(name, ledger, path, reply, genuine=genuine, ticket=ticket, tick=tick)

    def _read_records(self, ledger: ServerLedger, path: str, body: bytes) -> None:
        """What the answer proves of our prompts."""
        if path.startswith("/history"):
            for prompt_id, end in ended_prompts(body):
                ledger.proofs.setdefault(prompt_id, set()).add(end)
        elif path in ("/queue", "/prompt") and ledger.prompt and ledger.prompt.encode() in body:
            ledger.proofs.setdefault(ledger.prompt, set()).add("accepted")

    def _read_queue(self, ledger: ServerLedger, path: str, body: bytes) -> None:
        remaining = remaining_in(path, body)
        if remaining is None:
            return
        if path == "/queue":
            ledger.last_queue = remaining
        if ledger.remaining is not None:
            ledger.remaining = min(ledger.remaining, remaining)
        if remaining == 0:
            ledger.told_auto = False

    def _read_check(
        self, name: str, ledger: ServerLedger, path: str, reply: Reply, *, genuine: bool, ticket: int, tick: int
    ) -> None:
        kind = ledger.plan.kind_of(path)
        if kind is None:
            return
        if not genuine:
            ledger.unusable = tick
            return
        if kind == "history":
            cached: bool | None = history_is_warm(reply.body, ledger.plan.judged_by_history)
        else:
            cached = says_cached(kind, reply)
        if cached is None:
            ledger.unusable = tick
            return
        ledger.verdicts[kind] = (ticket, cached)
        if kind == "text" and "已经自动".encode() in reply.body:
            ledger.told_auto = True
        if kind == "node":
            self._meet_companion(ledger, reply.body, cached=cached, fresh=ticket >= ledger.evidence)
        if not cached:
            ledger.missing, ledger.missing_at = tick, now()
            ledger.missing_since = now() if ledger.missing_since is None else ledger.missing_since

    def _meet_companion(self, ledger: ServerLedger, body: bytes, *, cached: bool, fresh: bool) -> None:
        """Its frames are measured against its last answer that counted."""
        ledger.told_auto = not cached and b'"loading": true' in body
        if fresh or not cached:
            ledger.companion = later(ledger.companion, position_in(body))

    # The link

    def dialled(self, name: str, client_id: str) -> None:
        """A /ws connection is being opened."""
        self._note(name, "dials as", client_id)
        if client_id in self._client_ids:
            self._accuse(name, f"rule 7: client id {client_id} is used again")
        self._client_ids.add(client_id)
        self._limit(name, self.ledgers[name].dials, DIALS_A_MINUTE, "dials")

    def link_ended(self, name: str, client_id: str) -> None:
        """The daemon sees the end of a connection."""
        ledger = self.ledgers[name]
        self._note(name, "/ws ends", client_id)
        if ledger.link == client_id:
            ledger.link, ledger.told_auto, ledger.remaining = None, False, None
            ledger.companion = ledger.companion and (ledger.companion[0], None)
            self._evidence(name, ledger, "the link was lost")

    def frame_delivered(self, name: str, client_id: str, frame: str | bytes) -> None:
        """A frame reaches the daemon."""
        self._tick += 1
        ledger = self.ledgers[name]
        if isinstance(frame, bytes):
            return
        if frame.startswith('{"type": "status"'):
            self._status(name, ledger, client_id, frame)
        elif frame.startswith('{"type": "comfywarm.cache"'):
            self._cache_frame(name, ledger, frame)
        elif ledger.prompt and ledger.prompt in frame:
            self._frame_of_ours(name, ledger, frame)

    def _status(self, name: str, ledger: ServerLedger, client_id: str, frame: str) -> None:
        remaining = remaining_in("/ws", frame)
        if remaining is None:
            return
        self._note(name, "status frame", remaining)
        before, ledger.remaining = ledger.remaining, remaining
        if remaining == 0:
            ledger.told_auto = False
        if ledger.link != client_id:
            ledger.link, ledger.own_falls, ledger.told_auto = client_id, 0, False
            if ledger.was_linked:
                self._evidence(name, ledger, "the link was opened")
            ledger.was_linked = True
        elif before is not None and remaining < before:
            foreign = before - remaining - ledger.own_falls
            ledger.own_falls = max(0, -foreign)
            if foreign > 0:
                self._evidence(name, ledger, f"the queue fell from {before} to {remaining}")

    def _cache_frame(self, name: str, ledger: ServerLedger, frame: str) -> None:
        """What the companion node tells is evidence where it may mean that a key is gone."""
        self._note(name, "frame", frame[27:])
        known, said = ledger.companion, position_in(frame)
        if known is None or later(known, said) == known:
            return
        ledger.companion = said
        gap = known[0] != said[0] or (known[1] is not None and said[1] != known[1] + 1)
        if has_keys(frame):
            ledger.told_auto = False
        if gap or not has_keys(frame):
            self._evidence(name, ledger, f"the companion node told {said} after {known}")

    def _frame_of_ours(self, name: str, ledger: ServerLedger, frame: str) -> None:
        if frame.startswith(PROGRESS):
            ledger.moved_at = now()
        for mark, end in ENDS.items():
            if frame.startswith(f'{{"type": "{mark}"'):
                self._note(name, "frame", mark, ledger.prompt)
                ledger.proofs.setdefault(ledger.prompt, set()).add(end)
                if ledger.prompt not in ledger.ended:
                    ledger.ended.add(ledger.prompt)
                    ledger.own_falls += 1

    def _evidence(self, name: str, ledger: ServerLedger, what: str) -> None:
        """What a check said before this proves nothing any more; `loaded` must be taken back at once."""
        self._note(name, "evidence of change:", what)
        evidence = ledger.evidence = self._next()

        def loaded_still_stands() -> None:
            if ledger.state is State.LOADED and ledger.loaded < evidence:
                self._accuse(name, f"rule 4: loaded stands although {what}")

        asyncio.get_running_loop().call_soon(loaded_still_stands)

    # Transitions

    def transition(self, transition: Transition) -> None:
        """The daemon's view of a server changes."""
        name, reason = transition.server, transition.reason
        ledger = self.ledgers[name]
        text = sentence(transition.message)[:90]
        self._note(name, transition.source.value, "->", transition.dest.value, reason.value, text)
        self._tick += 1
        if transition.source is not ledger.state:
            self._accuse(name, f"a transition begins in {transition.source.value}, the last ended elsewhere")
        ledger.state = transition.dest
        ledger.reached.add(reason)
        if transition.dest in IN_FLIGHT:
            ledger.moved_at = now()
            ledger.recovered_at = now() if transition.reason is Reason.PROMPT_IN_DOUBT else ledger.recovered_at
        if transition.dest in (State.LOADED, State.WARMING, State.PAUSED):
            ledger.missing_since = None
        if transition.dest in (State.PAUSED, State.UNREACHABLE, State.FAILED):
            ledger.told_auto = False
        if transition.dest is State.LOADED:
            ledger.loaded = self._tick
        if reason is Reason.PERMIT_GRANTED:
            self._mark_submission()
        self._rules.check(name, ledger, transition)

    # The disk

    def committed(self, batch: Sequence[Write], numbers: Sequence[int | None]) -> None:
        """The journal has written a batch."""
        self._fruitless.clear()
        for write, number in zip(batch, numbers, strict=True):
            if write.attempt is not None:
                self._attempt_kept(write.attempt)
            if number is not None:
                if number != self.last_seq + 1:
                    self._accuse("-", f"rule 7: log id {number} follows {self.last_seq}")
                self.last_seq = number

    def _attempt_kept(self, attempt: Row) -> None:
        self._committed.add(attempt[0])

    def not_written(self) -> None:
        """The disk is full."""
        at = now()
        self._fruitless.append(at)
        while self._fruitless[0] < at - 1.0:
            self._fruitless.popleft()
        if len(self._fruitless) > FRUITLESS_WRITES_A_SECOND:
            self._accuse("-", f"rule 8: the journal tried {len(self._fruitless)} times in a second to write")

    # Helpers

    def _limit(self, name: str, times: deque[float], limit: int, what: str) -> None:
        at = now()
        times.append(at)
        while times[0] < at - 60.0:
            times.popleft()
        if len(times) > limit:
            self._accuse(name, f"rule 8: more than {limit} {what} in a minute")

    def _mark_submission(self) -> None:
        self.submission.set()
        self.submission.clear()

    def _next(self) -> int:
        self._tick += 1
        return self._tick
