"""The streams, buckets, subjects and keys in NATS."""

from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote, unquote

from nats.js import JetStreamContext
from nats.js.api import KeyValueConfig, StorageType, StreamConfig
from nats.js.errors import BadRequestError, NotFoundError
from nats.js.kv import KeyValue

from statemachine.cluster.nats.connection import NatsOptions
from statemachine.cluster.store import Dataset

MAX_REPLICAS = 5
DEDUPLICATION_S = 120.0
STREAM_NAME_IN_USE = 10058
"""JetStream's error code for a stream that exists with other options."""
MAX_LINEAGE = 2**31 - 1


def encode(text: str) -> str:
    """Encode any text as one token of a subject: `GPU 1` as `GPU=201`."""
    return quote(text, safe="").replace(".", "%2E").replace("~", "%7E").replace("%", "=")


def decode(token: str) -> str:
    return unquote(token.replace("=", "%"))


@dataclass(frozen=True, slots=True)
class DatasetStream:
    """The stream of a dataset. `created` distinguishes it from a later one of its name; the log has no key prefix."""

    name: str
    key_prefix: str
    created: datetime

    def key_of(self, subject: str) -> str:
        return decode(subject.removeprefix(self.key_prefix)) if self.key_prefix else ""


@dataclass(frozen=True, slots=True)
class Layout:
    """All names under one prefix."""

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

    def message_subject(self, subject: str) -> str:
        return f"{self.prefix}.told.{encode(subject)}"  # a wire name: nodes of older versions use it

    def request_subject(self, subject: str) -> str:
        return f"{self.prefix}.asked.{encode(subject)}"

    def key_value(self, dataset: Dataset, js: JetStreamContext) -> KeyValue:
        """Return the bucket, which is read from its leader."""
        return KeyValue(self.bucket(dataset), self.stream(dataset), self.key_prefix(dataset), js, direct=False)


async def ensure_streams(js: JetStreamContext, options: NatsOptions) -> dict[Dataset, DatasetStream]:
    """Create the streams that are missing; leave the others as they are."""
    layout = Layout(options.prefix)
    return {dataset: await _ensure_stream(js, layout, dataset, options) for dataset in Dataset}


def lineage_of(log: DatasetStream) -> int:
    """Return the log's lineage: its time of creation in milliseconds."""
    return int(log.created.timestamp() * 1000) % MAX_LINEAGE + 1


async def _ensure_stream(js: JetStreamContext, layout: Layout, dataset: Dataset, options: NatsOptions) -> DatasetStream:
    name = layout.stream(dataset)
    created = await _creation_time(js, name)
    if created is None:
        await _create(js, layout, dataset, options)
        created = await _creation_time(js, name)
    if created is None:
        raise NotFoundError(description=f"stream {name} was deleted right after it was created")
    return DatasetStream(name, layout.key_prefix(dataset), created)


async def _creation_time(js: JetStreamContext, stream: str) -> datetime | None:
    try:
        return (await js.stream_info(stream)).created
    except NotFoundError:
        return None


async def _create(js: JetStreamContext, layout: Layout, dataset: Dataset, options: NatsOptions) -> None:
    """Create the stream. One that another node has created meanwhile, perhaps with other options, is used as it is."""
    try:
        if dataset is Dataset.LOG:
            await js.add_stream(_log_config(layout, options))
        else:
            await js.create_key_value(_bucket_config(layout.bucket(dataset), options))
    except BadRequestError as error:
        if error.err_code != STREAM_NAME_IN_USE:
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
