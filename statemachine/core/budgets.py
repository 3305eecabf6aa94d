"""How many warm-ups may be in flight: in the whole fleet, and on the servers of one host."""

from collections import Counter


class Budget:
    """Counts who holds a permit. A server holds at most one."""

    def __init__(self, total: int, per_host: int) -> None:
        self._total = total
        self._per_host = per_host
        self._host_of: dict[str, str] = {}
        self._hosts: Counter[str] = Counter()

    def resize(self, total: int, per_host: int) -> None:
        """Change the bounds; whoever is counted stays counted."""
        self._total, self._per_host = total, per_host

    def has_room(self, host: str) -> bool:
        """Whether one more warm-up on this host fits."""
        return len(self._host_of) < self._total and self._hosts[host] < self._per_host

    def take(self, server: str, host: str) -> None:
        """Count the server in, room or not: a prompt that is already in flight counts in any case."""
        if server not in self._host_of:
            self._host_of[server] = host
            self._hosts[host] += 1

    def give_back(self, server: str) -> bool:
        """Count the server out; whether it was counted."""
        host = self._host_of.pop(server, None)
        if host is not None:
            self._hosts[host] -= 1
        return host is not None

    def __contains__(self, server: str) -> bool:
        return server in self._host_of

    def __len__(self) -> int:
        return len(self._host_of)
