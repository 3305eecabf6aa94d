"""What a campaign has found."""

from collections import Counter
from dataclasses import dataclass, field

from campaigns.gateway.clients import Clients, End
from campaigns.gateway.fleet import Fleet


@dataclass
class Report:
    """The figures, and the violations: each says what happened to which prompt."""

    kills: Counter[str] = field(default_factory=Counter)
    ends: Counter[str] = field(default_factory=Counter)
    repeats: int = 0
    ran_again: int = 0
    """Prompts that their clients posted again after the server of the first run had died."""
    files_gone: int = 0
    violations: list[str] = field(default_factory=list)
    duration_s: float = 0.0


async def check(fleet: Fleet, clients: Clients, report: Report) -> None:
    """Compare what the clients know with what the servers have recorded."""
    runs, finished = fleet.runs(), await fleet.finished()
    posted = {one.prompt_id: one for one in clients.followed}
    for one in clients.followed:
        report.ends[one.end] += 1
        report.repeats += one.repeats
        report.files_gone += one.file_gone
        if one.wrong:
            report.violations.append(f"{one.prompt_id}: {one.wrong}")
        elif one.end is End.NONE:
            report.violations.append(f"{one.prompt_id} was lost without an error")
        if one.end is End.LOST and one.prompt_id in finished:
            report.violations.append(f"{one.prompt_id} succeeded, but its client was told that it was lost")
        if one.end is End.SUCCEEDED and not runs.get(one.prompt_id):
            report.violations.append(f"{one.prompt_id} succeeded without having run")
    for prompt_id, count in runs.items():
        repeated = posted[prompt_id].repeats if prompt_id in posted else 0
        if count > 1 and (prompt_id in fleet.repeated_alive() or not repeated):
            report.violations.append(f"{prompt_id} ran {count} times, and its client posted it {1 + repeated} times")
        report.ran_again += count > 1
