"""Several daemons over one fleet: where they meet, and under which names."""

import re
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, SecretStr

from statemachine.settings.tls import Tls
from statemachine.settings.values import Folder, Name, Seconds, Section

_URL = re.compile(r"(nats|tls)://([!-?A-~]+@)?(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_.-]+)(:[0-9]{1,5})?")
_PREFIX = re.compile(r"[a-z][a-z0-9_-]{0,30}")


def _check_url(url: SecretStr) -> SecretStr:
    if not _URL.fullmatch(url.get_secret_value()):
        raise ValueError("nats://HOST:PORT or tls://HOST:PORT, with USER:PASSWORD@ or TOKEN@ before the host")
    return url


def _check_some(urls: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
    if not urls:
        raise ValueError("at least one URL")
    return urls


def _check_prefix(prefix: str) -> str:
    if not _PREFIX.fullmatch(prefix):
        raise ValueError("a small letter, then up to 30 small letters, digits, _ and -")
    return prefix


class Cluster(Section):
    """Daemons with the same `nats` and `prefix` share their servers out among themselves. Needs comfywarm[cluster]."""

    nats: Annotated[
        tuple[Annotated[SecretStr, AfterValidator(_check_url)], ...],
        Field(max_length=20, json_schema_extra={"minItems": 1}),
        AfterValidator(_check_some),
    ]
    """URLs of NATS servers with JetStream. Keep passwords in the environment: "nats://comfywarm:${NAME}@192.0.2.1"."""
    node: Name
    """This daemon's name, which no other one of the cluster may have."""
    prefix: Annotated[str, AfterValidator(_check_prefix)] = "comfywarm"
    """How the names of streams, buckets and subjects begin. Fleets that are not one need different ones."""
    lease_s: Annotated[Seconds, Field(ge=1, le=300)] = 20
    """How long a node that is not heard of keeps its servers. It stops submitting a fifth of that earlier.
    NATS needs up to 9 s to elect a stream's leader; a lease should last longer than that."""
    replicas: Literal[1, 3, 5] = 3
    """How many NATS servers keep each message, when streams and buckets are made."""
    credentials: Folder | None = None
    """NATS credentials file (.creds), from the settings file's folder."""
    tls: Tls = Tls()
    """Whom to believe behind tls:// URLs."""

    def below(self, folder: Path) -> Self:
        """The same with absolute paths, relative ones being taken from the folder."""
        credentials = self.credentials and folder / self.credentials
        return self.model_copy(update={"credentials": credentials, "tls": self.tls.below(folder)})
