"""Every case there is, in the order in which they are run."""

from collections.abc import Mapping

from benchmarks import frames
from benchmarks.figures import Case

CASES: Mapping[str, Case] = {
    "frames": frames.FRAMES,
    "frames_that_change": frames.FRAMES_THAT_CHANGE,
}
