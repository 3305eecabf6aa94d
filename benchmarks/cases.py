"""All cases, in the order in which they run."""

from collections.abc import Mapping

from benchmarks import fleet, frames, gateway, journal, latency, readers, scaling, stalls, status
from benchmarks.figures import Case

CASES: Mapping[str, Case] = {
    "frames": frames.FRAMES,
    "frames_that_change": frames.FRAMES_THAT_CHANGE,
    "fleet": fleet.CASE,
    "latency": latency.CASE,
    "status": status.CASE,
    "readers": readers.CASE,
    "journal": journal.CASE,
    "stalls": stalls.CASE,
    "gateway_prompt": gateway.PROMPT_CASE,
    "gateway_view": gateway.VIEW_CASE,
    "scaling": scaling.CASE,
}
