"""The shared store over NATS JetStream; the only package that knows NATS.

The log is a stream; nodes, servers and shared are key-value buckets, which `nats kv` can read.
"""

try:
    import nats  # noqa: F401
except ImportError as error:
    raise ImportError("cluster needs the extra comfywarm[cluster]") from error

from statemachine.cluster.nats.connection import NatsOptions
from statemachine.cluster.nats.store import NatsStore, connected

__all__ = ["NatsOptions", "NatsStore", "connected"]
