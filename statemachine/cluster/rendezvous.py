"""Who looks after what: highest random weight hashing, so that a node that comes or goes moves only its own share."""

from collections.abc import Collection
from hashlib import blake2b


def chosen(key: str, nodes: Collection[str]) -> str | None:
    """The node to which the key falls; None where there is no node. Every node works out the same.

    With one node more, only keys that fall to it move; with one less, only its own.
    """
    return max(nodes, key=lambda node: (_weight(key, node), node), default=None)


def _weight(key: str, node: str) -> int:
    digest = blake2b(f"{node}\0{key}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big")
