"""Errors of sources."""

from statemachine.i18n.render import MessageError


class SourceError(MessageError):
    """A source gave no usable answer. What it named before stays."""


class NoRegistrationError(Exception):
    """No source of the settings accepts registrations."""


class NameTakenError(Exception):
    """Another server has the name that a server would have. The text is the name."""


class NoPlaceError(Exception):
    """The fleet has no place for another server of the source."""

    def __init__(self, most: int) -> None:
        super().__init__(f"at most {most} servers")
        self.most = most
