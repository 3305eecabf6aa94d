"""An operator's wish for a server that another node looks after is passed on to that node."""

from collections.abc import Callable

import orjson
from loguru import logger

from statemachine.cluster.ownership import LeasedOwnership
from statemachine.cluster.store import CutOffError, SharedStore
from statemachine.core.operator import Action, Operator
from statemachine.core.ownership import NotOwnedError


class ForwardingOperator:
    """Pass actions to `local`, the operator of our own servers, or to the node that owns the server."""

    def __init__(
        self, store: SharedStore, ownership: LeasedOwnership, node: str, local: Operator, exists: Callable[[str], bool]
    ) -> None:
        self._store = store
        self._ownership = ownership
        self._node = node
        self._local = local
        self._exists = exists

    async def listen(self) -> None:
        """Carry out what other nodes pass on, from now on."""
        await self._store.respond(_subject(self._node), self._asked)

    async def act(self, server: str, action: Action) -> bool:
        """Carry out the action here, or have the server's owner do so."""
        if await self._local.act(server, action):
            return True
        if not self._exists(server):
            return False
        owner = self._ownership.record(server).node
        if owner is None or owner == self._node:
            raise NotOwnedError(f"no node looks after {server} at the moment; try again in some seconds")
        try:
            said = await self._store.request(_subject(owner), orjson.dumps([server, action]))
        except CutOffError as error:
            raise NotOwnedError(f"node {owner}, which looks after {server}, does not answer") from error
        if said != b"done":
            raise NotOwnedError(f"node {owner} has just handed {server} over; try again in some seconds")
        return True

    async def _asked(self, value: bytes) -> bytes:
        """Another version may ask for what we do not know."""
        try:
            server, action = orjson.loads(value)
            return b"done" if await self._local.act(server, Action(action)) else b"not mine"
        except (ValueError, TypeError, KeyError) as error:
            logger.warning("what another node passes on is not understood: {!r}", error)
            return b"not understood"


def _subject(node: str) -> str:
    return f"act.{node.encode().hex()}"
