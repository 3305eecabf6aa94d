"""The sections for TLS, and the contexts made from the files that they name.

At least TLS 1.2; certificates of servers are always verified. The functions read files and block for some
milliseconds.
"""

import hashlib
import ssl
from pathlib import Path
from typing import Self

from statemachine.settings.files import read_limited, require_regular
from statemachine.settings.values import Folder, Section

MAX_BYTES = 2**20
"""Far more than a certificate with its intermediate ones needs."""


class Tls(Section):
    """How the certificates of servers are verified. No setting disables this."""

    ca_file: Folder | None = None
    """PEM file with private CA certificates, trusted in addition to the system's."""

    def below(self, folder: Path) -> Self:
        """Return a copy with an absolute path; a relative one starts at the folder."""
        return self.model_copy(update={"ca_file": self.ca_file and folder / self.ca_file})


class ListenTls(Section):
    """The certificate of the page and the API."""

    certificate: Folder
    """PEM file with the certificate, followed by its intermediate certificates."""
    key: Folder
    """PEM file with the certificate's key, without a passphrase."""

    def below(self, folder: Path) -> Self:
        """Return a copy with absolute paths; relative ones start at the folder."""
        return self.model_copy(update={"certificate": folder / self.certificate, "key": folder / self.key})


def client_context(ca_file: Path | None) -> ssl.SSLContext:
    """Return a context that trusts the system's CAs and those of the file. Raises OSError."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if ca_file is not None:
        require_regular(ca_file)
        context.load_verify_locations(ca_file)
    return context


def page_context(tls: ListenTls) -> ssl.SSLContext:
    """Return a context for the page and the API. Raises OSError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    _load(context, tls)
    return context


def load_pair(context: ssl.SSLContext, tls: ListenTls) -> None:
    """Load certificate and key into a context in use. New connections use them.

    Raises OSError before anything changes.
    """
    page_context(tls)  # a key that does not fit would leave the new certificate with the old key
    _load(context, tls)


def fingerprint(certificate: Path) -> bytes:
    """Return the SHA-256 of the first certificate in a PEM file. Raises OSError, or ValueError if it has none."""
    end = "-----END CERTIFICATE-----"
    text = read_limited(certificate, MAX_BYTES).decode("ascii", "replace")
    _, begin, rest = text.partition("-----BEGIN CERTIFICATE-----")
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(begin + rest.partition(end)[0] + end)).digest()


def _load(context: ssl.SSLContext, tls: ListenTls) -> None:
    require_regular(tls.certificate)
    require_regular(tls.key)
    # Without a password OpenSSL would ask for one at the terminal and wait.
    context.load_cert_chain(tls.certificate, tls.key, password="")
