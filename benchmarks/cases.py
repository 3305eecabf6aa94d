"""Every case there is, in the order in which they are run."""

from collections.abc import Mapping

from benchmarks import fleet, frames, scaling, stalls
from benchmarks.figures import Case

CASES: Mapping[str, Case] = {
    "frames": frames.FRAMES,
    "frames_that_change": frames.FRAMES_THAT_CHANGE,
    "fleet": fleet.CASE,
    "stalls": stalls.CASE,
    "scaling": scaling.CASE,
}
