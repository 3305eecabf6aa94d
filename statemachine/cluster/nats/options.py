"""Where the engine is, and how it is to keep what it is given."""

import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class NatsOptions:
    """At most one of `credentials`, `user` with `password`, and `token`.

    `prefix` (letters, digits, `_`, `-`) tells fleets apart that share an engine. What follows it is used only where
    something is made for the first time: `replicas` (1, 3 or 5, not above the number of NATS servers), and how long and
    how many entries the log keeps.
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
        """What nats-py is told for it to be let in."""
        given = {
            "user_credentials": self.credentials,
            "user": self.user,
            "password": self.password,
            "token": self.token,
            "tls": self.tls,
        }
        return {key: value for key, value in given.items() if value is not None}
