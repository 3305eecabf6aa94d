"""Prometheus' format of targets: a list of objects with `targets` and `labels`."""

from collections.abc import Mapping
from typing import Any

from statemachine.core.messages import Message, Param, message
from statemachine.discovery.source import SourceError
from statemachine.discovery.target import (
    MAX_LABEL_CHARACTERS,
    MAX_LABELS,
    MAX_TARGETS,
    NO_LABELS,
    Listing,
    Refusal,
    Refusals,
    Target,
    parse_target,
)
from statemachine.settings.problems import NotAllowedError, describe

MAX_EXAMINED = 2 * MAX_TARGETS
"""Targets that are examined, refused ones included: in YAML a few bytes may stand for a long list, repeatedly."""


def parse_groups(data: object, scheme: str) -> Listing:
    """Return the targets of a decoded file or answer. What is wrong with one refuses only that one.

    Raises SourceError if the whole is not a list.
    """
    if not isinstance(data, list):
        raise SourceError(message("source_not_a_list"))
    reader = _Reader(scheme)
    for place, group in enumerate(data):
        reader.read_group(f"[{place}]", group)
        if reader.is_full:
            break
    return reader.refusals.beside(reader.targets)


class _Reader:
    """One pass over the groups."""

    def __init__(self, scheme: str) -> None:
        self._scheme = scheme
        self.targets: list[Target] = []
        self.refusals = Refusals()
        self.is_full = False
        self._examined = 0

    def read_group(self, where: str, group: Any) -> None:
        if not isinstance(group, dict) or not isinstance(targets := group.get("targets"), list):
            self._refuse(where, message("target_group"))
            return
        labels = _labels(group.get("labels"))
        if isinstance(labels, Message):
            self._refuse(f"{where}.labels", labels)
            return
        for place, text in enumerate(targets):
            self._examined += 1
            if len(self.targets) >= MAX_TARGETS or self._examined > MAX_EXAMINED:
                self._refuse(where, message("too_many_targets", max=MAX_TARGETS))
                self.is_full = True
                return
            self._read_target(f"{where}.targets[{place}]", text, labels)

    def _read_target(self, where: str, text: object, labels: Mapping[str, str]) -> None:
        if not isinstance(text, str):
            self._refuse(where, message("target_not_text"))
            return
        try:
            self.targets.append(parse_target(text, self._scheme, labels))
        except NotAllowedError as error:
            self._refuse(message("target_at", where=where, text=describe(text)), error.message)

    def _refuse(self, where: Param, why: Message) -> None:
        self.refusals.add(Refusal(where, why))


def _labels(value: object) -> Mapping[str, str] | Message:
    """Return the labels of a group, or what is wrong with them."""
    if value is None:
        return NO_LABELS
    if not isinstance(value, dict) or len(value) > MAX_LABELS:
        return message("target_labels", max=MAX_LABELS)
    texts = [text for pair in value.items() for text in pair]
    if not all(isinstance(text, str) and len(text) <= MAX_LABEL_CHARACTERS for text in texts):
        return message("target_label", max=MAX_LABEL_CHARACTERS)
    return value
