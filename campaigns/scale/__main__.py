"""`python -m campaigns.scale --servers 20000 --nodes 5`: a cluster over one large fleet, in virtual time.

All nodes are in one process, so processor times are those of all nodes together. It exits with 0 if every server had
one owner and was shown as loaded by every node, before and after the loss of a node.
"""

import argparse
import asyncio
import gc
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from loguru import logger

from campaigns.scale.stages import Cluster, ScaleReport
from campaigns.simulation.loop import VirtualLoop
from campaigns.simulation.run import scratch_folder


def run(servers: int, nodes: int) -> ScaleReport:
    """Run a cluster in virtual time."""
    with (
        tempfile.TemporaryDirectory(dir=scratch_folder()) as folder,
        asyncio.Runner(loop_factory=VirtualLoop) as runner,
        _without_collections(),
    ):
        return runner.run(_run(servers, nodes, Path(folder)))


@contextmanager
def _without_collections() -> Iterator[None]:
    """Switch the garbage collector off: one over all nodes together takes longer than that of each."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


async def _run(servers: int, nodes: int, folder: Path) -> ScaleReport:
    return await Cluster(servers, nodes, folder).run()


def printed(report: ScaleReport) -> str:
    """Return the report as text."""
    lines = [f"{report.servers:,} servers, {report.nodes} nodes"]
    for one in report.stages:
        costs = f"{one.virtual_s:.1f} s of virtual time, {one.processor_s:.1f} s of processor time"
        counts = f"{one.writes:,} writes, {one.messages:,} messages"
        lines.append(f"  {one.name}: {costs}, {counts}, longest step {one.longest_step_s * 1000:.0f} ms")
    memory = f"{report.memory_mb:.0f} MB, {report.stored_mb:.0f} MB of it the store's"
    per_server = report.node_mb * 1024 / report.servers
    lines.append(
        f"  memory: {memory}; a node {report.node_mb:.0f} MB, {per_server:.1f} KiB for each server of the fleet"
    )
    page = report.page
    lines.append(
        f"  /api/status: {page.first_s * 1000:.0f} ms, after a change {page.next_s * 1000:.0f} ms, "
        f"{page.bytes / 1e6:.1f} MB, compressed {page.compressed_bytes / 1e6:.2f} MB"
    )
    return "\n".join(lines)


def main() -> int:
    """Run the cluster and print what it has shown."""
    parser = argparse.ArgumentParser(prog="python -m campaigns.scale", description=__doc__)
    parser.add_argument("--servers", type=int, default=20_000, help="servers of the fleet")
    parser.add_argument("--nodes", type=int, default=5, help="nodes of the cluster")
    options = parser.parse_args()
    logger.remove()
    logger.add(sys.stderr, level="ERROR")
    print(printed(run(options.servers, options.nodes)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
