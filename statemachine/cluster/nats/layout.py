"""What is kept where: streams, buckets, subjects, and keys as NATS can have them."""

from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote, unquote

from nats.js import JetStreamContext
from nats.js.api import KeyValueConfig, StorageType, StreamConfig
from nats.js.errors import BadRequestError, NotFoundError
from nats.js.kv import KeyValue

from statemachine.cluster.nats.options import NatsOptions
from statemachine.cluster.store import Dataset

MAX_REPLICAS = 5
DEDUPLICATION_S = 120.0
NAME_IS_TAKEN = 10058
"""JetStream's code for a stream that another node has made just now, with other options."""
LINEAGES = 2**31 - 1


def encode(text: str) -> str:
    """Any text as one token of a subject: `GPU 1` as `GPU=201`."""
    return quote(text, safe="").replace(".", "%2E").replace("~", "%7E").replace("%", "=")


def decode(token: str) -> str:
    return unquote(token.replace("=", "%"))


@dataclass(frozen=True, slots=True)
class Place:
    """One dataset's stream. `created` tells it from another of the same name; the log's `key_prefix` is empty."""

    stream: str
    key_prefix: str
    created: datetime

    def key_of(self, subject: str) -> str:
        return decode(subject.removeprefix(self.key_prefix)) if self.key_prefix else ""


@dataclass(frozen=True, slots=True)
class Layout:
    """The names of everything under one prefix."""

    prefix: str

    def bucket(self, dataset: Dataset) -> str:
        return f"{self.prefix}_{dataset}"

    def stream(self, dataset: Dataset) -> str:
        return f"{self.prefix}_log" if dataset is Dataset.LOG else f"KV_{self.bucket(dataset)}"

    def key_prefix(self, dataset: Dataset) -> str:
        return "" if dataset is Dataset.LOG else f"$KV.{self.bucket(dataset)}."

    @property
    def log_subject(self) -> str:
        return f"{self.prefix}.log"

    def told(self, subject: str) -> str:
        return f"{self.prefix}.told.{encode(subject)}"

    def asked(self, subject: str) -> str:
        return f"{self.prefix}.asked.{encode(subject)}"

    def key_value(self, dataset: Dataset, js: JetStreamContext) -> KeyValue:
        """The bucket; it is asked of its leader."""
        return KeyValue(self.bucket(dataset), self.stream(dataset), self.key_prefix(dataset), js, direct=False)


async def prepare(js: JetStreamContext, options: NatsOptions) -> dict[Dataset, Place]:
    """Make what is missing, leave what is there."""
    layout = Layout(options.prefix)
    return {dataset: await _place(js, layout, dataset, options) for dataset in Dataset}


def lineage_of(log: Place) -> int:
    """From when it was made, to the millisecond."""
    return int(log.created.timestamp() * 1000) % LINEAGES + 1


async def _place(js: JetStreamContext, layout: Layout, dataset: Dataset, options: NatsOptions) -> Place:
    stream = layout.stream(dataset)
    created = await _created(js, stream)
    if created is None:
        await _make(js, layout, dataset, options)
        created = await _created(js, stream)
    if created is None:
        raise NotFoundError(description=f"{stream} is gone again")
    return Place(stream, layout.key_prefix(dataset), created)


async def _created(js: JetStreamContext, stream: str) -> datetime | None:
    try:
        return (await js.stream_info(stream)).created
    except NotFoundError:
        return None


async def _make(js: JetStreamContext, layout: Layout, dataset: Dataset, options: NatsOptions) -> None:
    """Another node may be quicker, and may have other options: what it has made is as good."""
    try:
        if dataset is Dataset.LOG:
            await js.add_stream(_log_config(layout, options))
        else:
            await js.create_key_value(_bucket_config(layout.bucket(dataset), options))
    except BadRequestError as error:
        if error.err_code != NAME_IS_TAKEN:
            raise


def _log_config(layout: Layout, options: NatsOptions) -> StreamConfig:
    return StreamConfig(
        name=layout.stream(Dataset.LOG),
        subjects=[layout.log_subject],
        storage=StorageType.FILE,
        num_replicas=min(MAX_REPLICAS, options.replicas),
        max_age=options.log_max_age_s,
        max_msgs=options.log_max_messages,
        duplicate_window=min(DEDUPLICATION_S, options.log_max_age_s),
    )


def _bucket_config(bucket: str, options: NatsOptions) -> KeyValueConfig:
    replicas = min(MAX_REPLICAS, options.replicas)
    return KeyValueConfig(bucket, history=1, storage=StorageType.FILE, replicas=replicas, direct=False)
