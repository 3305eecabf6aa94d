"""The configurations of the servers that sources name."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from statemachine.core.messages import message
from statemachine.discovery.reconciler import Assigned
from statemachine.discovery.target import Listing, Refusal, Refusals, Target
from statemachine.settings import ServerConfig, Settings
from statemachine.settings.discovery import Source
from statemachine.settings.expand import ServerUrl
from statemachine.settings.model import server_config
from statemachine.settings.problems import NotAllowedError
from statemachine.settings.values import check_name

_ANY = ServerUrl("http://localhost", "localhost", 80)


@dataclass(frozen=True, slots=True)
class _Template:
    """What the servers of a source have in common."""

    source: Source
    config: ServerConfig

    def config_of(self, one: Assigned) -> ServerConfig:
        address = one.target.address
        label = self.source.group_label
        group = (one.target.labels.get(label) if label is not None else None) or self.source.group
        return replace(self.config, name=one.name, url=address.url, host=address.host, group=group)


class DiscoveredConfigs:
    """Builds a configuration once: an unchanged server keeps the same object, which makes comparisons quick."""

    def __init__(self) -> None:
        self._templates: Mapping[str, _Template] = {}
        self._built: dict[Assigned, ServerConfig] = {}

    def configure(self, settings: Settings) -> None:
        """Use these settings. Configurations that they do not change stay."""
        before, self._templates = self._templates, {one.name: _template(settings, one) for one in settings.discovery}
        kept = {name for name, one in self._templates.items() if before.get(name) == one}
        self._built = {one: config for one, config in self._built.items() if one.source in kept}

    def build(self, servers: Sequence[Assigned]) -> tuple[ServerConfig, ...]:
        """Return the configurations of these servers, and forget all others."""
        self._built = {one: self._built.get(one) or self._templates[one.source].config_of(one) for one in servers}
        return tuple(self._built.values())


def only_usable(source: Source, listing: Listing, is_https: Callable[[str], bool]) -> Listing:
    """Return the answer without the targets that cannot be servers of this source.

    Labels must be usable as the name and the group of a server. Headers never go to a weaker scheme than that of the
    settings or the one before: `is_https` returns whether the server of a key is reached by https now.
    """
    labels = [one for one in (source.name_label, source.group_label) if one is not None]
    if not labels and not source.headers:
        return listing
    targets, refusals = list[Target](), Refusals()
    refusals.add(*listing.refusals, unnamed=listing.unnamed)
    for target in listing.targets:
        refusal = _scheme_refusal(target, source, is_https) or _label_refusal(target, labels)
        if refusal is None:
            targets.append(target)
        else:
            refusals.add(refusal)
    return refusals.beside(targets)


def _scheme_refusal(target: Target, source: Source, is_https: Callable[[str], bool]) -> Refusal | None:
    """Return why the headers of the source must not be sent to the target."""
    if not source.headers or target.is_https:
        return None
    if source.scheme != "https" and not is_https(target.key):
        return None
    return Refusal(target.address.host_and_port, message("target_weaker_scheme"))


def _label_refusal(target: Target, labels: Sequence[str]) -> Refusal | None:
    for label in labels:
        if value := target.labels.get(label):
            try:
                check_name(value)
            except NotAllowedError as error:
                why = message("target_label_value", label=label, value=value, allowed=error.message)
                return Refusal(target.address.host_and_port, why)
    return None


def _template(settings: Settings, source: Source) -> _Template:
    return _Template(source, server_config(settings, source, _ANY, "template"))
