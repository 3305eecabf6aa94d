"""`python -m campaigns.cluster [--kills N] ...`: exit 0 where no rule was broken, 1 where one was."""

import argparse
import asyncio
import signal
import sys
import tempfile
from pathlib import Path

from loguru import logger

from campaigns.cluster.campaign import SERVERS, Plan, campaign


def main() -> int:
    """Run and print."""
    parser = argparse.ArgumentParser(prog="python -m campaigns.cluster", description=__doc__)
    parser.add_argument("--kills", type=int, default=50, help="how often a daemon is ended by SIGKILL")
    parser.add_argument("--freezes", type=int, default=10, help="how often one is stopped for twice its lease")
    parser.add_argument("--brokers", type=int, default=3, help="how many of the nats-servers are killed in turn")
    parser.add_argument("--away", type=float, default=60.0, help="seconds without any nats-server")
    parser.add_argument("--joins", type=int, default=1, help="0: no fourth daemon comes and leaves")
    parser.add_argument("--servers", type=int, default=SERVERS, help="how many simulated servers there are")
    parser.add_argument("--seed", type=int, default=1, help="nodes and moments are drawn from it")
    parser.add_argument("--folder", type=Path, help="where journals and logs stay; default: a new one")
    options = parser.parse_args()
    folder = options.folder or Path(tempfile.mkdtemp(prefix="cluster-"))
    folder.mkdir(parents=True, exist_ok=True)
    plan = Plan(
        kills=options.kills,
        freezes=options.freezes,
        brokers=options.brokers,
        away_s=options.away,
        joins=bool(options.joins),
        servers=options.servers,
        seed=options.seed,
    )
    logger.remove()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # all that was started is ended
    report = asyncio.run(campaign(folder, plan))
    print(f"journals and logs: {folder}")
    return 1 if report.violations else 0


if __name__ == "__main__":
    sys.exit(main())
