"""An operator's wish for a server that another node looks after is passed on to that node."""

from collections.abc import Callable

import orjson
from loguru import logger

from statemachine.cluster.ownership import LeasedOwnership
from statemachine.cluster.store import CutOffError, SharedStore
from statemachine.core.ownership import NotOwnedError

Act = Callable[[str, str], bool]
"""The fleet's: carries out an action on a server, False where it does not look after it."""


class ForwardingOperator:
    """See the web side's Operator."""

    def __init__(
        self, store: SharedStore, ownership: LeasedOwnership, node: str, act: Act, exists: Callable[[str], bool]
    ) -> None:
        self._store = store
        self._ownership = ownership
        self._node = node
        self._act = act
        self._exists = exists

    async def listen(self) -> None:
        """Carry out what other nodes pass on, from now on."""
        await self._store.answer(_subject(self._node), self._asked)

    async def act(self, server: str, action: str) -> bool:
        """See Operator. Raises NotOwnedError where its owner cannot be asked."""
        if self._act(server, action):
            return True
        if not self._exists(server):
            return False
        owner = self._ownership.record(server).node
        if owner is None or owner == self._node:
            raise NotOwnedError(f"no node looks after {server} at the moment; try again in some seconds")
        try:
            said = await self._store.ask(_subject(owner), orjson.dumps([server, action]))
        except CutOffError as error:
            raise NotOwnedError(f"node {owner}, which looks after {server}, does not answer") from error
        if said != b"done":
            raise NotOwnedError(f"node {owner} has just handed {server} over; try again in some seconds")
        return True

    async def _asked(self, value: bytes) -> bytes:
        """Another version may ask for what we do not know."""
        try:
            server, action = orjson.loads(value)
            return b"done" if self._act(server, action) else b"not mine"
        except (ValueError, TypeError, KeyError) as error:
            logger.warning("what another node passes on is not understood: {!r}", error)
            return b"not understood"


def _subject(node: str) -> str:
    return f"act.{node.encode().hex()}"
