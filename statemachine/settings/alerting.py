"""The section `alerts`: who is told of which trouble, and where.

Channels hold secrets (an apprise URL is one as a whole), so their values are never shown.
"""

from collections.abc import Callable
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, model_validator

from statemachine.core.vocabulary import Reason
from statemachine.settings.values import Name, Seconds, Section, Whole

AlertState = Literal["unknown", "checking", "cold", "auto_executing", "submitting", "warming", "unreachable", "failed"]
"""Every state but `loaded`, which is no trouble, and `paused`, in which an operator wants quiet."""

AlertNotice = Literal["fleet_vanished", "journal_unavailable", "settings_refused", "node_cut_off"]
"""The notices that begin something."""

MAX_ITEMS = 100
MIN_SECRET = 16
APPRISE_ALLOWED = "a URL that apprise understands, such as ${FEISHU_URL} with feishu://TOKEN; see docs/alerts.md"


def _check_service(url: SecretStr) -> SecretStr:
    """Imported where it is needed: most fleets set no alerts, and apprise takes 40 MB."""
    from statemachine.settings.apprise_urls import is_understood  # noqa: PLC0415

    if not is_understood(url.get_secret_value()):
        raise ValueError(APPRISE_ALLOWED)
    return url


def _check_webhook(url: SecretStr) -> SecretStr:
    try:
        parts = urlsplit(url.get_secret_value())
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0 and not parts.fragment
    except ValueError:
        usable = False
    if not usable or not url.get_secret_value().isprintable():
        raise ValueError("an http or https URL with a host")
    return url


def _check_secret(secret: SecretStr) -> SecretStr:
    if len(secret.get_secret_value()) < MIN_SECRET:
        raise ValueError(f"at least {MIN_SECRET} characters, best random ones")
    return secret


def _at_least_one(message: str) -> Callable[[tuple[str, ...]], tuple[str, ...]]:
    def check(names: tuple[str, ...]) -> tuple[str, ...]:
        if not names or len(set(names)) < len(names):
            raise ValueError(message)
        return names

    return check


ServiceUrl = Annotated[SecretStr, Field(max_length=4000), AfterValidator(_check_service)]
WebhookUrl = Annotated[SecretStr, Field(max_length=4000), AfterValidator(_check_webhook)]
WebhookSecret = Annotated[SecretStr, Field(max_length=1000), AfterValidator(_check_secret)]


class AlertRule(Section):
    """One kind of trouble, and who is told of it. What is left empty lets everything pass."""

    name: Name
    """The rule's name, in messages and in what has been told: a rule with a new name tells anew."""
    states: Annotated[tuple[AlertState, ...], Field(max_length=MAX_ITEMS)] = ()
    """States of a server that are trouble. Empty: all but loaded and paused."""
    reasons: Annotated[tuple[Reason, ...], Field(max_length=MAX_ITEMS)] = ()
    """Reason codes, one of which the state must have. Empty: any."""
    groups: Annotated[tuple[Name, ...], Field(max_length=MAX_ITEMS)] = ()
    """Groups of servers. Empty: all."""
    notices: Annotated[tuple[AlertNotice, ...], Field(max_length=MAX_ITEMS)] = ()
    """Notices, which concern no single server. With them and without states and reasons, a rule is about them only."""
    for_s: Annotated[Seconds, Field(ge=0, le=604_800)] = 120
    """How long the trouble must last, without a break, before anybody is told. Seconds."""
    to: Annotated[
        tuple[Name, ...],
        Field(max_length=MAX_ITEMS, json_schema_extra={"minItems": 1}),
        AfterValidator(_at_least_one("at least one channel, and each once")),
    ]
    """Names of channels."""

    @property
    def is_about_servers(self) -> bool:
        """Whether servers are looked at, and not only notices."""
        return bool(self.states or self.reasons or not self.notices)


class AlertChannel(Section):
    """Where messages go: services of apprise, or a webhook."""

    apprise: Annotated[tuple[ServiceUrl, ...], Field(max_length=MAX_ITEMS)] = ()
    """URLs in apprise's syntax; each gets every message. Keep them in the environment: "${FEISHU_URL}"."""
    webhook: WebhookUrl | None = None
    """http or https URL that each message is posted to as JSON, signed."""
    secret: WebhookSecret | None = None
    """Key of the webhook's signature."""

    @model_validator(mode="after")
    def _check_kind(self) -> Self:
        if bool(self.apprise) == (self.webhook is not None):
            raise ValueError('either "apprise" with at least one URL, or "webhook" with "secret"')
        if (self.webhook is None) != (self.secret is None):
            raise ValueError('"webhook" and "secret" together')
        return self


class Alerts(Section):
    """Who is told of trouble. Without rules nobody is."""

    rules: Annotated[tuple[AlertRule, ...], Field(max_length=MAX_ITEMS)] = ()
    """What counts as trouble, and for whom."""
    channels: Annotated[dict[Name, AlertChannel], Field(max_length=MAX_ITEMS)] = Field(default={})
    """Where messages can go, by name."""
    recovery: bool = True
    """Whether the end of a trouble is told too."""
    gather_s: Annotated[Seconds, Field(ge=0, le=600)] = 15
    """How long a message waits for others of the same cause. Seconds."""
    max_messages: Annotated[Whole, Field(ge=1, le=1000)] = 10
    """Messages that a channel gets within `window_s`; the last of them sums up what else there is to tell."""
    window_s: Annotated[Seconds, Field(ge=1, le=86_400)] = 600
    """The time that `max_messages` is counted over. Seconds."""
