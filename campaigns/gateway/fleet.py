"""The servers of the campaign, simulated or real, and what they record."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from campaigns.gateway.moments import Moment

Json = dict[str, Any]


class Fleet(Protocol):
    """Servers that can be killed and started again.

    `urls` are their addresses by name, `moments` those that these servers report, and `workflows` the workflow files
    that the daemon keeps warm, by name, in the folder `workflows_dir`.
    """

    urls: Mapping[str, str]
    moments: Sequence[Moment]
    workflows: Sequence[str]
    workflows_dir: Path

    async def kill(self, name: str) -> None:
        """End a server at once, with all that it remembers."""
        ...

    async def start(self, name: str) -> None:
        """Start a server again at the same address."""
        ...

    def graph(self, prompt_id: str) -> Json:
        """Return a graph that writes one file, which belongs to this prompt alone."""
        ...

    def is_right(self, prompt_id: str, content: bytes) -> bool:
        """Return whether this is the file of the prompt."""
        ...

    def runs(self) -> Mapping[str, int]:
        """Return how often each prompt ran, over all servers and their processes."""
        ...

    def repeated_alive(self) -> set[str]:
        """Return the prompts that began again although the server of an earlier run still had it."""
        ...

    async def finished(self) -> set[str]:
        """Return the prompts that succeeded by the histories of the servers as they are now."""
        ...
