"""The invariants of a daemon, checked at every step with a view of both ends of every wire.

`loaded` and `cold` are checked against the replies delivered to the daemon, duplicate warm-ups against the servers
and the network. Replies and frames are parsed independently of the client.
"""

from collections import Counter, deque
from collections.abc import Callable, Sequence

from campaigns.simulation.frame_rules import FrameRules
from campaigns.simulation.lasting_rules import keys_below
from campaigns.simulation.ledger import ServerLedger, SharedLedger, workflows_of_ours
from campaigns.simulation.observations import is_canonical_uuid
from campaigns.simulation.replies import read_reply
from campaigns.simulation.rules import TransitionRules, now
from campaigns.simulation.wire import prompt_of
from statemachine.comfyui.transport import Reply
from statemachine.core.log_entry import Transition
from statemachine.core.server import ServerView
from statemachine.core.vocabulary import IN_FLIGHT, Reason, State
from statemachine.i18n.render import sentence
from statemachine.journal.rows import Row
from statemachine.journal.store import Write
from statemachine.settings import Settings

ALLOWED_GETS = ("/prompt", "/queue", "/system_stats", "/node_replacements", "/cache/check", "/inspire/cache/list")
ALLOWED_FOLDERS = ("/history", "/api/jobs/", "/object_info/")
DIALS_PER_MINUTE = 30
REQUESTS_PER_MINUTE = 600
FAILED_WRITES_PER_SECOND = 20


class Invariants:
    """Check one daemon. `fail(server, what)` receives violations, `note(server, *what)` every event.

    Daemons that share a fleet have the same `shared_ledger`.
    """

    def __init__(
        self,
        settings: Settings,
        fail: Callable[[str, str], None],
        note: Callable[..., None],
        shared_ledger: SharedLedger | None = None,
    ) -> None:
        self.ledgers: dict[str, ServerLedger] = {}
        self.warm_ups: Counter[str] = Counter()
        self.on_started: Callable[[str, State], None] = lambda *_: None
        self.on_view: Callable[[ServerView], None] = lambda _: None
        """Further rules for a server's start and for its view after a transition."""
        self.last_seq = 0
        self.published: dict[int, tuple[str | None, str | None]] = {}
        self._settings = settings
        self._fail, self._note = fail, note
        shared_ledger = shared_ledger or SharedLedger(self.ledgers.values)
        self._rules = TransitionRules(settings, shared_ledger.fleet, fail)
        self._frames = FrameRules(fail, note, self._next)
        self._tick = 0
        self.submission = shared_ledger.submission
        self._committed, self._posted = shared_ledger.committed, shared_ledger.posted
        self._client_ids = shared_ledger.client_ids
        self._failed_writes: deque[float] = deque()
        self._published_seq = 0

    # Start and publication

    def daemon_started(self) -> None:
        """Forget what a new daemon does not know."""
        for ledger in self.ledgers.values():
            ledger.reset(now())

    def runner_started(self, name: str, state: State) -> None:
        """Record the start of a server task, at the daemon's start or after a reload."""
        self.ledgers[name].reset(now())
        self.ledgers[name].state = state
        self.on_started(name, state)

    def entry_published(self, seq: int | None, server: str | None, dest: str | None) -> None:
        """Record a published log entry."""
        if seq is None:
            return
        if seq <= self._published_seq:
            self._fail(server or "-", f"log ids: {seq} was published after {self._published_seq}")
        self._published_seq = seq
        self.published[seq] = (server, dest)

    # Requests

    def request_left(self, name: str, method: str, path: str, body: bytes | None) -> int:
        """Record a request from the daemon; return its tick."""
        self._tick += 1
        ledger, route = self.ledgers[name], path.partition("?")[0]
        self._limit(name, ledger.requests, REQUESTS_PER_MINUTE, "requests in a minute")
        if method == "POST" and path == "/prompt" and body is not None:
            self._post_leaves(name, ledger, body)
        elif method != "GET" or body is not None:
            self._fail(name, f"forbidden request: {method} {path} with {len(body or b'')} bytes")
        elif route not in ALLOWED_GETS and not route.startswith(ALLOWED_FOLDERS):
            self._fail(name, f"forbidden request: GET {path}")
        if route == "/cache/check":
            self._note(name, "GET", path)
            if ledger.auto_executing and "peek=1" not in path:  # which starts nothing
                self._fail(name, "auto-executing: the check was requested while the server loads by itself")
        return self._tick

    def _post_leaves(self, name: str, ledger: ServerLedger, body: bytes) -> None:
        prompt_id, workflow = prompt_of(body)
        self._note(name, "POST", prompt_id, workflow)
        self.warm_ups[name] += 1
        if not is_canonical_uuid(prompt_id):
            self._fail(name, f"prompt_id {prompt_id} is not a UUID in canonical lower case")
        self._mark_submission()
        ledger.prompt, ledger.server_prompt, ledger.moved_at = prompt_id, "", now()
        ledger.knows_server_prompt, ledger.figures, ledger.posted_at = False, {}, now()
        if prompt_id not in self._committed:
            self._fail(name, f"duplicate warm-up: {prompt_id} was posted before it was in the journal")
        if prompt_id in self._posted:
            self._fail(name, f"duplicate warm-up: {prompt_id} was posted a second time")
        self._posted.add(prompt_id)
        if workflow in ledger.wire.in_transit.values():
            self._fail(name, f"duplicate warm-up: POST of {workflow} while an earlier one may still be accepted")
        if workflow in workflows_of_ours(ledger):
            self._fail(name, f"duplicate warm-up: POST of {workflow} while an earlier one is queued or running")
        if ledger.state in (State.DRAINING, State.RESTARTING):
            self._fail(name, f"restart: POST while the server is {ledger.state.value}")
        if ledger.auto_executing:
            self._fail(name, "auto-executing: POST while the server loads by itself")

    def post_processed(self, name: str, prompt_id: str, status: int) -> None:
        """Record the server's response to a POST."""
        self._note(name, "server responds to POST", prompt_id, status)
        ledger = self.ledgers[name]
        if prompt_id == ledger.prompt:
            ledger.server_prompt = next(reversed(ledger.wire.server.log)).prompt_id or ""
        ours = workflows_of_ours(ledger)
        if len(ours) != len(set(ours)):
            self._fail(name, f"duplicate warm-up: the server has prompts for {ours}")

    def request_failed(self, name: str, path: str) -> None:
        """Record a request without a reply."""
        ledger = self.ledgers[name]
        ledger.failures += 1
        self._note(name, "no reply to", path)
        if ledger.failures >= self._settings.reachability.fall:
            ledger.auto_executing = False
        if path.startswith("/cache/check") and "peek=1" not in path:  # which is no check
            ledger.unusable = self._next()

    def reply_delivered(self, name: str, path: str, reply: Reply, *, genuine: bool, ticket: int) -> None:
        """Record a reply to the daemon."""
        tick, ledger = self._next(), self.ledgers[name]
        self._note(name, "reply" if genuine else "distorted reply", path, reply.status, reply.body[:60])
        read_reply(ledger, path, reply, genuine=genuine, ticket=ticket, tick=tick)

    # The link

    def dialled(self, name: str, client_id: str) -> None:
        """Record the opening of a /ws connection."""
        self._note(name, "opens /ws as", client_id)
        if client_id in self._client_ids:
            self._fail(name, f"client id reused: {client_id}")
        self._client_ids.add(client_id)
        self.ledgers[name].dialled += 1
        self._limit(name, self.ledgers[name].dials, DIALS_PER_MINUTE, "connections in a minute")

    def link_ended(self, name: str, client_id: str) -> None:
        """Record the end of a connection at the daemon."""
        ledger = self.ledgers[name]
        self._note(name, "/ws ends", client_id)
        if ledger.link == client_id:
            ledger.link, ledger.auto_executing, ledger.remaining = None, False, None
            ledger.companion = ledger.companion and (ledger.companion[0], None)
            self._frames.note_change(name, ledger, "the link was lost")

    def frame_delivered(self, name: str, client_id: str, frame: str | bytes) -> None:
        """Record a frame to the daemon."""
        self._tick += 1
        if isinstance(frame, str):
            self._frames.delivered(name, self.ledgers[name], client_id, frame)

    # Transitions

    def transition(self, transition: Transition) -> None:
        """Record and check a transition of the daemon's view of a server."""
        name, reason = transition.server, transition.reason
        ledger = self.ledgers[name]
        text = sentence(transition.message)[:90]
        self._note(name, transition.source.value, "->", transition.dest.value, reason.value, text)
        self._tick += 1
        if transition.source is not ledger.state:
            self._fail(
                name, f"transition from {transition.source.value}, but the last one ended in {ledger.state.value}"
            )
        ledger.state = transition.dest
        ledger.note_restart(transition, self._tick)
        ledger.note_reached(reason)
        ledger.note_round(transition)
        if transition.dest in IN_FLIGHT:
            ledger.note_in_flight(transition, now())
            ledger.recovered_at = now() if transition.reason is Reason.PROMPT_IN_DOUBT else ledger.recovered_at
        if transition.reason is Reason.QUEUE_STUCK:
            ledger.stuck_prompt = ledger.prompt
        if transition.dest in (State.LOADED, State.WARMING, State.PAUSED):
            ledger.missing_since = None
        if transition.dest in (State.PAUSED, State.UNREACHABLE, State.FAILED):
            ledger.auto_executing = False
        if transition.dest is State.LOADED:
            self._note_loaded(ledger)
        if reason is Reason.PERMIT_GRANTED:
            self._mark_submission()
        self._rules.check(name, ledger, transition)

    def _note_loaded(self, ledger: ServerLedger) -> None:
        """Note the levels too: models may be moved again before the next look at what lasts."""
        ledger.loaded = self._tick
        if not keys_below(ledger):
            ledger.below_since = None

    # The disk

    def committed(self, batch: Sequence[Write], numbers: Sequence[int | None]) -> None:
        """Record a batch that the journal has written."""
        self._failed_writes.clear()
        for write, number in zip(batch, numbers, strict=True):
            if write.attempt is not None:
                self._attempt_written(write.attempt)
            if number is not None:
                if number != self.last_seq + 1:
                    self._fail("-", f"log ids: {number} follows {self.last_seq}")
                self.last_seq = number

    def _attempt_written(self, attempt: Row) -> None:
        self._committed.add(attempt[0])

    def write_failed(self) -> None:
        """Record a failed write."""
        self._limit("-", self._failed_writes, FAILED_WRITES_PER_SECOND, "failed writes in a second", within_s=1.0)

    # Helpers

    def _limit(self, name: str, times: deque[float], limit: int, what: str, within_s: float = 60.0) -> None:
        at = now()
        times.append(at)
        while times[0] < at - within_s:
            times.popleft()
        if len(times) > limit:
            self._fail(name, f"rate limit: more than {limit} {what}")

    def _mark_submission(self) -> None:
        self.submission.set()
        self.submission.clear()

    def _next(self) -> int:
        self._tick += 1
        return self._tick
