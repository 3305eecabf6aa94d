"""The report of a campaign: printed figures and violations."""

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass
class Report:
    """The figures and violations of a campaign, printed as they are added."""

    figures: list[str] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)

    def figure(self, text: str) -> None:
        """Add and print a figure."""
        self.figures.append(text)
        print(text, flush=True)

    def violation(self, what: str, which: Sequence[str], shown: int = 5) -> None:
        """Add and print a violation if `which` is not empty."""
        if which:
            self.violations.append(f"{what}: {len(which)}, such as {'; '.join(sorted(which)[:shown])}")
            print(f"VIOLATION {self.violations[-1]}", flush=True)


def spread(seconds: Sequence[float]) -> str:
    """Describe the minimum, median, 90th percentile and maximum."""
    if not seconds:
        return "none"
    ordered = sorted(seconds)
    median, tenth = ordered[len(ordered) // 2], ordered[len(ordered) * 9 // 10]
    return f"min {ordered[0]:.2f} s, median {median:.2f} s, p90 {tenth:.2f} s, max {ordered[-1]:.2f} s"
