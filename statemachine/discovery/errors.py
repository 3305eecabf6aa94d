"""Errors of sources."""

from statemachine.i18n.render import MessageError


class SourceError(MessageError):
    """A source gave no usable answer. What it named before stays."""


class NoRegistrationError(Exception):
    """No source of the settings accepts registrations."""
