"""How to connect to NATS, and how to create streams that are missing."""

import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class NatsOptions:
    """Set at most one of `credentials`, `user` with `password`, and `token`.

    `prefix` (letters, digits, `_`, `-`) separates fleets on the same NATS servers. The options after it apply only to
    streams that do not exist yet: `replicas` (1, 3 or 5, at most the number of NATS servers) and the log's limits.
    """

    urls: Sequence[str]
    name: str = "comfywarm"
    credentials: Path | None = None
    user: str | None = None
    password: str | None = None
    token: str | None = None
    tls: ssl.SSLContext | None = None
    timeout_s: float = 2.0
    prefix: str = "comfywarm"
    replicas: int = 3
    log_max_age_s: float = 30 * 86400.0
    log_max_messages: int = 1_000_000

    @property
    def login(self) -> dict[str, Any]:
        """The arguments of nats-py's `connect` for authentication and TLS."""
        given = {
            "user_credentials": self.credentials,
            "user": self.user,
            "password": self.password,
            "token": self.token,
            "tls": self.tls,
        }
        return {key: value for key, value in given.items() if value is not None}
