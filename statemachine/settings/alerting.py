"""The section `alerts`: rules and channels.

Channels hold secrets (an apprise URL is a secret as a whole), so their values are never shown.
"""

from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, model_validator

from statemachine.core.messages import message
from statemachine.core.vocabulary import Reason
from statemachine.settings.problems import NotAllowedError
from statemachine.settings.values import Name, Seconds, Section, Whole

AlertState = Literal[
    "unknown",
    "checking",
    "cold",
    "auto_executing",
    "submitting",
    "warming",
    "unreachable",
    "failed",
    "draining",
    "restarting",
]
"""All states except `loaded` and `paused`."""

AlertNotice = Literal["fleet_vanished", "journal_unavailable", "settings_refused", "node_cut_off", "discovery_failed"]
"""The notices that start a condition; each has another notice that ends it."""

MAX_ITEMS = 100
MIN_SECRET = 16


def _check_service(url: SecretStr) -> SecretStr:
    # Most fleets set no alerts, and apprise takes 40 MB.
    from statemachine.settings.apprise_urls import is_understood  # noqa: PLC0415

    if not is_understood(url.get_secret_value()):
        raise NotAllowedError(message("settings.apprise_url", variable="${FEISHU_URL}"))
    return url


def _check_webhook(url: SecretStr) -> SecretStr:
    try:
        parts = urlsplit(url.get_secret_value())
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0 and not parts.fragment
    except ValueError:
        usable = False
    if not usable or not url.get_secret_value().isprintable():
        raise NotAllowedError(message("settings.webhook_url"))
    return url


def _check_secret(secret: SecretStr) -> SecretStr:
    if len(secret.get_secret_value()) < MIN_SECRET:
        raise NotAllowedError(message("settings.webhook_secret", count=MIN_SECRET))
    return secret


def _check_channels(names: tuple[str, ...]) -> tuple[str, ...]:
    if not names or len(set(names)) < len(names):
        raise NotAllowedError(message("settings.distinct_channels"))
    return names


ServiceUrl = Annotated[SecretStr, Field(max_length=4000), AfterValidator(_check_service)]
WebhookUrl = Annotated[SecretStr, Field(max_length=4000), AfterValidator(_check_webhook)]
WebhookSecret = Annotated[SecretStr, Field(max_length=1000), AfterValidator(_check_secret)]


class AlertRule(Section):
    """What to alert about, and where to send it. An empty list matches everything."""

    name: Name
    """Name in messages; unique. Sent alerts are recorded under it, so a renamed rule sends again."""
    states: Annotated[tuple[AlertState, ...], Field(max_length=MAX_ITEMS)] = ()
    """Server states to alert about. Empty: all except loaded, paused, draining and restarting."""
    reasons: Annotated[tuple[Reason, ...], Field(max_length=MAX_ITEMS)] = ()
    """Reason codes of these states. Empty: all."""
    groups: Annotated[tuple[Name, ...], Field(max_length=MAX_ITEMS)] = ()
    """Groups of servers. Empty: all."""
    notices: Annotated[tuple[AlertNotice, ...], Field(max_length=MAX_ITEMS)] = ()
    """Notices, which concern no single server. A rule with notices and without states and reasons covers only them."""
    for_s: Annotated[Seconds, Field(ge=0, le=604_800)] = 120
    """How long the condition must last without interruption before the alert is sent, in seconds."""
    to: Annotated[
        tuple[Name, ...],
        Field(max_length=MAX_ITEMS, json_schema_extra={"minItems": 1}),
        AfterValidator(_check_channels),
    ]
    """Names of the channels that receive the message."""

    @property
    def is_about_servers(self) -> bool:
        """Whether the rule covers servers, not only notices."""
        return bool(self.states or self.reasons or not self.notices)


class AlertChannel(Section):
    """Where messages are sent: apprise services, or a webhook."""

    apprise: Annotated[tuple[ServiceUrl, ...], Field(max_length=MAX_ITEMS)] = ()
    """URLs in apprise's syntax; each receives every message. Keep them in the environment: "${FEISHU_URL}"."""
    webhook: WebhookUrl | None = None
    """http or https URL that receives each message as signed JSON in a POST."""
    secret: WebhookSecret | None = None
    """Key of the webhook's signature; required with `webhook`."""

    @model_validator(mode="after")
    def _check_kind(self) -> Self:
        if bool(self.apprise) == (self.webhook is not None):
            raise NotAllowedError(message("settings.channel_kind"))
        if (self.webhook is None) != (self.secret is None):
            raise NotAllowedError(message("settings.webhook_and_secret"))
        return self


class Alerts(Section):
    """Alerts about servers and notices. Without rules, none are sent."""

    rules: Annotated[tuple[AlertRule, ...], Field(max_length=MAX_ITEMS)] = ()
    """What to alert about, and where to send it."""
    channels: Annotated[dict[Name, AlertChannel], Field(max_length=MAX_ITEMS)] = Field(default={})
    """Where to send messages, by name."""
    recovery: bool = True
    """Whether to send a message when an alert resolves."""
    gather_s: Annotated[Seconds, Field(ge=0, le=600)] = 15
    """How long a message waits for others with the same cause, in seconds."""
    max_messages: Annotated[Whole, Field(ge=1, le=1000)] = 10
    """Messages to each address of a channel within `window_s`; the last one summarizes what is left."""
    window_s: Annotated[Seconds, Field(ge=1, le=86_400)] = 600
    """Time window of `max_messages`, in seconds."""
