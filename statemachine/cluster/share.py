"""The share of this node: the servers that rendezvous hashing assigns to it."""

from collections.abc import Sequence

from statemachine.cluster.membership import node_for, nodes_before


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
