"""The section `cluster`: how several daemons share a fleet through NATS."""

import re
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, SecretStr

from statemachine.core.messages import message
from statemachine.settings.problems import NotAllowedError
from statemachine.settings.tls import Tls
from statemachine.settings.values import Folder, Name, Seconds, Section

_URL = re.compile(r"(nats|tls)://([!-?A-~]+@)?(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_.-]+)(:[0-9]{1,5})?")
_PREFIX = re.compile(r"[a-z][a-z0-9_-]{0,30}")


def _check_url(url: SecretStr) -> SecretStr:
    if not _URL.fullmatch(url.get_secret_value()):
        raise NotAllowedError(message("settings.nats_url"))
    return url


def _check_not_empty(urls: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
    if not urls:
        raise NotAllowedError(message("settings.some_url"))
    return urls


def _check_prefix(prefix: str) -> str:
    if not _PREFIX.fullmatch(prefix):
        raise NotAllowedError(message("settings.prefix"))
    return prefix


class Cluster(Section):
    """Daemons with the same `nats` and `prefix` share a fleet. Needs comfywarm[cluster]."""

    nats: Annotated[
        tuple[Annotated[SecretStr, AfterValidator(_check_url)], ...],
        Field(max_length=20, json_schema_extra={"minItems": 1}),
        AfterValidator(_check_not_empty),
    ]
    """URLs of NATS servers with JetStream. Keep passwords in the environment: "nats://comfywarm:${NAME}@192.0.2.1"."""
    node: Name
    """This daemon's name. It must be unique in the cluster and must not change across restarts."""
    prefix: Annotated[str, AfterValidator(_check_prefix)] = "comfywarm"
    """Prefix of streams, buckets and subjects. Separate fleets need different prefixes."""
    lease_s: Annotated[Seconds, Field(ge=1, le=300)] = 20
    """How long a silent node keeps its servers, in seconds. It stops submitting a fifth of that earlier.
    Use more than 9 s, the time NATS may need to elect a stream's leader. The same on all nodes."""
    replicas: Literal[1, 3, 5] = 3
    """Number of NATS servers that store each message. Used only when a stream or bucket is created."""
    credentials: Folder | None = None
    """NATS credentials file (.creds). A relative path starts at the settings file's folder."""
    tls: Tls = Tls()
    """How the certificates of tls:// URLs are verified."""

    def below(self, folder: Path) -> Self:
        """Return a copy with absolute paths; relative ones start at the folder."""
        credentials = self.credentials and folder / self.credentials
        return self.model_copy(update={"credentials": credentials, "tls": self.tls.below(folder)})
