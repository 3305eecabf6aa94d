"""The share of this node: the servers that rendezvous hashing assigns to it, and claims for them.

Nodes may list different servers, so a server is handed over only to a node that asks for it. Claims may be lost; a node
repeats them until it has the servers. It also claims the servers that it is about to adopt, because they look free.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress

from statemachine.cluster.membership import Membership, node_for, nodes_before
from statemachine.cluster.store import SharedStore, StoreUnavailableError
from statemachine.cluster.values import DECODE_ERRORS, Unreadable, encode_json, node_name, parse, text

SUBJECT = "claims"

VALID_S = 5.0
"""How long a claim counts: several repetitions."""

MOST = 500
"""Servers in one claim. The claims of a larger share go round it."""


OnClaim = Callable[[str, str], None]
"""Receive a server of ours and the node that claims it."""


class Share:
    """Which of the living nodes each server belongs to. `assigned` has those of this node, in the fleet's order."""

    def __init__(self, node: str) -> None:
        self.assigned: dict[str, None] = {}
        self.nodes: Sequence[str] = ()
        self._node = node
        self._servers: Sequence[str] = ()
        self._first: dict[str, str | None] = {}

    def update(self, nodes: Sequence[str], servers: Sequence[str]) -> bool:
        """Compute the share again if nodes or servers have changed; return whether the nodes have."""
        nodes_changed = nodes != self.nodes
        if nodes_changed or servers is not self._servers:
            known = {} if nodes_changed else self._first
            self._first = {name: known[name] if name in known else node_for(name, nodes) for name in servers}
            self.assigned = {name: None for name, node in self._first.items() if node == self._node}
            self.nodes, self._servers = nodes, servers
        return nodes_changed

    def belongs_to(self, server: str) -> str | None:
        """Return the node that a server of the fleet belongs to."""
        return self._first.get(server)

    def before(self, server: str) -> list[str]:
        """Return the nodes that the server belongs to before this one."""
        return nodes_before(self._node, server, self.nodes)


class Claims:
    """The claims that this node sends and receives. `owns` returns whether this node looks after a server."""

    def __init__(
        self,
        store: SharedStore,
        membership: Membership,
        owns: Callable[[str], bool],
        on_claim: OnClaim = lambda *_: None,
    ) -> None:
        self._store = store
        self._membership = membership
        self._owns = owns
        self._on_claim = on_claim
        self._is_subscribed = False
        self._sent = 0
        self._claimed: dict[str, tuple[str, float]] = {}
        """Server → the node that claims it, and our steady clock's time until which that counts."""
        self._unreadable = Unreadable("the claim")

    async def subscribe(self) -> None:
        """Receive claims from now on; while cut off, the store subscribes as soon as it can."""
        if not self._is_subscribed:
            self._is_subscribed = True
            with suppress(StoreUnavailableError):
                await self._store.subscribe(SUBJECT, self._receive)

    def send(self, servers: Sequence[str]) -> None:
        """Ask for some of these servers, and for the following ones the next time."""
        if servers:
            start = self._sent % len(servers)
            chosen = servers[start : start + MOST]
            self._sent = start + len(chosen)
            self._store.publish(SUBJECT, encode_json([self._membership.node, self._membership.session, chosen]))

    def received(self) -> Iterator[tuple[str, str]]:
        """Yield our servers that other nodes claim, with the node that does."""
        now = self._membership.steady()
        while self._claimed and now >= next(iter(self._claimed.values()))[1]:
            del self._claimed[next(iter(self._claimed))]
        return ((name, node) for name, (node, _) in self._claimed.items() if self._owns(name))

    def _receive(self, value: bytes) -> None:
        try:
            node, session, servers, *_ = parse(value)
            names = [text(name) for name in servers[:MOST]]
            if not self._membership.leases.lives(node_name(node), text(session)):
                return
        except DECODE_ERRORS as error:
            self._unreadable.report("of a node", error)
            return
        until = self._membership.steady() + VALID_S
        for name in filter(self._owns, names):
            self._claimed.pop(name, None)  # so that the oldest come first
            self._claimed[name] = (node, until)
            self._on_claim(name, node)
