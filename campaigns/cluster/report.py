"""What came of a campaign: figures to print, and what is wrong."""

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass
class Report:
    """`violations` is empty where no rule was broken."""

    figures: list[str] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)

    def figure(self, text: str) -> None:
        """Print it at once too: a long campaign is watched."""
        self.figures.append(text)
        print(text, flush=True)

    def wrong(self, what: str, which: Sequence[str], shown: int = 5) -> None:
        """A violation, if there are any of which it is true."""
        if which:
            self.violations.append(f"{what}: {len(which)}, such as {'; '.join(sorted(which)[:shown])}")
            print(f"VIOLATION {self.violations[-1]}", flush=True)


def spread(seconds: Sequence[float]) -> str:
    """Least, median, 90th of a hundred and most."""
    if not seconds:
        return "none"
    ordered = sorted(seconds)
    median, tenth = ordered[len(ordered) // 2], ordered[len(ordered) * 9 // 10]
    return f"least {ordered[0]:.2f} s, median {median:.2f} s, 9 of 10 within {tenth:.2f} s, worst {ordered[-1]:.2f} s"
