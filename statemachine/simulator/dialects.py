"""What the releases of ComfyUI do differently, as far as a client can see it.

The recordings in `tests/transcripts/VERSION` show each difference. A test compares this table with the one in
docs/comfyui.md.
"""

import re
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from typing import Any

DEFAULT = "0.3.75"
VERSION = re.compile(r"[0-9]{1,4}(\.[0-9]{1,4}){1,2}")
UPLOAD_BYTES = 104_857_600


class Feature(Enum):
    """A difference: the first version that has it, and what it changes."""

    REFUSES_OTHER_ORIGINS = (0, 2, 3), "403 for the `Origin` of another site"
    ERROR_OBJECTS = (
        (0, 3, 28),
        "`error` of a body without `prompt` is an object, before a text; empty `node_errors` are `{}`",
    )
    ERROR_TIPS = (0, 3, 42), "the message of an exception ends with a line feed and, for memory, with a tip"
    CLIENT_IDS = (0, 3, 45), "the client's prompt_id is used; before, the server creates its own"
    PROGRESS_STATE = (0, 3, 45), "frames `progress_state`; `progress` names the node for every client"
    FEATURES = (0, 3, 45), "GET /features and the frame `feature_flags`"
    INTERRUPT_BY_ID = (0, 3, 57), "POST /interrupt spares other prompts than the given one"
    CREATE_TIME = (0, 3, 69), "the server adds `create_time` to extra_data"
    MANAGER_FEATURE = (0, 4), "`extension` in /features"
    JOBS = (0, 6), "GET /api/jobs and /api/jobs/ID"
    THROTTLED_PROGRESS = (0, 9, 2), "of a node's steps, the first, the last, and at most one in 0.1 s are sent"
    MISSING_NODE_TYPE = (0, 12), "a missing class is `missing_node_type`; before, `invalid_prompt`"
    REPLACEMENTS = (0, 14), "GET /node_replacements; a missing class is replaced before validation"
    ASSETS_FEATURE = (0, 17), "`assets` in /features"
    REFUSES_CROSS_SITE = (0, 19), "403 for `Sec-Fetch-Site: cross-site`"
    DEPENDENCY_CYCLE = (0, 20), "a cycle is the error `dependency_cycle`; before, it has no details"
    CANONICAL_IDS = (0, 25), "400 `invalid_prompt_id` unless the id is a canonical UUID; null creates one"
    CANCEL = (0, 26), "POST /api/jobs/ID/cancel and /api/jobs/cancel"
    MODEL_TAGS_FEATURE = (0, 28), "`supports_model_type_tags` in /features"
    PREVIEWABLE_COUNT = (0, 29), "a job has `previewable_outputs_count`: not in 0.28.2, seen in 0.33.0"

    def __init__(self, since: tuple[int, ...], meaning: str) -> None:
        self.since = since
        self.meaning = meaning


@dataclass(frozen=True)
class Dialect:
    """The behaviour of one version of ComfyUI."""

    version: str = DEFAULT

    def has(self, feature: Feature) -> bool:
        return self._numbers >= feature.since

    @cached_property
    def _numbers(self) -> tuple[int, ...]:
        return tuple(int(part) for part in self.version.split("."))

    @property
    def features(self) -> dict[str, Any]:
        """The answer of GET /features, and of a client's frame `feature_flags`."""
        flags: dict[str, Any] = {"supports_preview_metadata": True}
        if self.has(Feature.MODEL_TAGS_FEATURE):
            flags["supports_model_type_tags"] = True
        flags["max_upload_size"] = UPLOAD_BYTES
        if self.has(Feature.MANAGER_FEATURE):
            flags["extension"] = {"manager": {"supports_v4": True}}
        if self.has(Feature.REPLACEMENTS):
            flags["node_replacements"] = True
        if self.has(Feature.ASSETS_FEATURE):
            flags["assets"] = False
        return flags


def dialect_of(version: str) -> Dialect:
    """Return the dialect of a version such as "0.28.2". Raises ValueError for a text of another form."""
    if not VERSION.fullmatch(version):
        raise ValueError(f"{version!r} is not a version of ComfyUI such as {DEFAULT}")
    return Dialect(version)
