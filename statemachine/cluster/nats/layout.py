"""What is kept where: streams, buckets, subjects, and keys as NATS can have them."""

from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote, unquote

from nats.js import JetStreamContext
from nats.js.api import KeyValueConfig, StorageType, StreamConfig
from nats.js.errors import BadRequestError, NotFoundError
from nats.js.kv import KeyValue

from statemachine.cluster.nats.options import NatsOptions
from statemachine.cluster.store import Source

BUCKETS = (Source.NODES, Source.SERVERS, Source.SHARED)
MAX_REPLICAS = 3
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
class Layout:
    """The names of everything under one prefix."""

    prefix: str

    def bucket(self, source: Source) -> str:
        return f"{self.prefix}_{source}"

    def stream(self, source: Source) -> str:
        return f"{self.prefix}_log" if source is Source.LOG else f"KV_{self.bucket(source)}"

    @property
    def log_subject(self) -> str:
        return f"{self.prefix}.log"

    def key_prefix(self, source: Source) -> str:
        return f"$KV.{self.bucket(source)}."

    def told(self, subject: str) -> str:
        return f"{self.prefix}.told.{encode(subject)}"

    def asked(self, subject: str) -> str:
        return f"{self.prefix}.asked.{encode(subject)}"

    def key_of(self, source: Source, subject: str) -> str:
        return "" if source is Source.LOG else decode(subject.removeprefix(self.key_prefix(source)))

    def key_value(self, source: Source, js: JetStreamContext) -> KeyValue:
        """The bucket; it is asked of its leader."""
        return KeyValue(self.bucket(source), self.stream(source), self.key_prefix(source), js, direct=False)


async def prepare(js: JetStreamContext, options: NatsOptions) -> int:
    """Make what is missing, leave what is there; the log's lineage."""
    layout = Layout(options.prefix)
    for source in BUCKETS:
        if await _created(js, layout.stream(source)) is None:
            await _make_bucket(js, layout.bucket(source), options)
    if await _created(js, layout.stream(Source.LOG)) is None:
        await _make_log(js, layout, options)
    created = await _created(js, layout.stream(Source.LOG))
    if created is None:
        raise NotFoundError(description="the log is gone again")
    return int(created.timestamp() * 1000) % LINEAGES + 1


async def _created(js: JetStreamContext, stream: str) -> datetime | None:
    try:
        return (await js.stream_info(stream)).created
    except NotFoundError:
        return None


async def _make_bucket(js: JetStreamContext, bucket: str, options: NatsOptions) -> None:
    config = KeyValueConfig(
        bucket, history=1, storage=StorageType.FILE, replicas=min(MAX_REPLICAS, options.replicas), direct=False
    )
    try:
        await js.create_key_value(config)
    except BadRequestError as error:
        _pass_if_taken(error)


async def _make_log(js: JetStreamContext, layout: Layout, options: NatsOptions) -> None:
    config = StreamConfig(
        name=layout.stream(Source.LOG),
        subjects=[layout.log_subject],
        storage=StorageType.FILE,
        num_replicas=min(MAX_REPLICAS, options.replicas),
        max_age=options.log_max_age_s,
        max_msgs=options.log_max_messages,
        duplicate_window=DEDUPLICATION_S,
    )
    try:
        await js.add_stream(config)
    except BadRequestError as error:
        _pass_if_taken(error)


def _pass_if_taken(error: BadRequestError) -> None:
    if error.err_code != NAME_IS_TAKEN:
        raise error
