"""Whom to believe, and with what to be believed. Files are named here and read in `certificates`."""

from pathlib import Path
from typing import Self

from statemachine.settings.values import Folder, Section


class Tls(Section):
    """How the certificates of servers are judged. They are always judged: there is no setting that turns it off."""

    ca_file: Folder | None = None
    """PEM file with the certificates of private authorities, believed beside those of the system."""

    def below(self, folder: Path) -> Self:
        """The same with an absolute path, a relative one being taken from the folder."""
        return self.model_copy(update={"ca_file": self.ca_file and folder / self.ca_file})


class ListenTls(Section):
    """The certificate of the page and the API."""

    certificate: Folder
    """PEM file with the certificate and those of its intermediate authorities."""
    key: Folder
    """PEM file with the certificate's key, without a passphrase."""

    def below(self, folder: Path) -> Self:
        """The same with absolute paths, relative ones being taken from the folder."""
        return self.model_copy(update={"certificate": folder / self.certificate, "key": folder / self.key})
