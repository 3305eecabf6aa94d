"""Rendezvous hashing (highest random weight): every node computes the same distribution without coordination."""

from collections.abc import Collection
from hashlib import blake2b


def node_for(key: str, nodes: Collection[str]) -> str | None:
    """Return the node that the key belongs to, or None if there are no nodes.

    When a node joins, only keys that now belong to it move; when one leaves, only its own.
    """
    return max(nodes, key=lambda node: (_weight(key, node), node), default=None)


def _weight(key: str, node: str) -> int:
    digest = blake2b(f"{node}\0{key}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big")
