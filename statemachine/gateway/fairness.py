"""Fair queueing: in the queue of a server, the clients' prompts alternate."""

from collections import Counter
from collections.abc import Iterable

from statemachine.gateway.records import PromptRecord


def fair_number(waiting: Iterable[PromptRecord], client: str) -> float | None:
    """Return the queue number of a client's next prompt, None for the end of the queue.

    The nth prompt of a client comes before the prompts of others that are more than their nth. ComfyUI runs lower
    numbers first. Prompts that were not sent by this gateway keep their places.
    """
    rounds: Counter[str] = Counter()
    in_order = sorted(waiting, key=lambda one: one.number)
    own = sum(record.client == client for record in in_order)
    before: float | None = None
    for record in in_order:
        if rounds[record.client] > own and before is not None:
            return (before + record.number) / 2
        rounds[record.client] += 1
        before = record.number
    return None
