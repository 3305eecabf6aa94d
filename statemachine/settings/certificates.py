"""Reads the files that the TLS settings name. TLS 1.2 at least, and a server's certificate is always judged.

These functions read files and so block for some milliseconds. No error quotes what is in a file: it may be a key.
"""

import hashlib
import ssl
from collections.abc import Iterator
from pathlib import Path

from statemachine.settings.explain import Written
from statemachine.settings.model import Settings
from statemachine.settings.problems import KeyPath, Problem, describe
from statemachine.settings.tls import ListenTls

_CERTIFICATES = "a PEM file with certificates, which comfywarm's user may read"
_KEY = "the PEM file with the key of listen.tls.certificate, without a passphrase, which comfywarm's user may read"


def client_context(ca_file: Path | None) -> ssl.SSLContext:
    """For connections to servers: believes the system's authorities and those of the file. Raises OSError."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if ca_file is not None:
        context.load_verify_locations(ca_file)
    return context


def page_context(tls: ListenTls) -> ssl.SSLContext:
    """For the page and the API. Raises OSError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    _load(context, tls)
    return context


def load_pair(context: ssl.SSLContext, tls: ListenTls) -> None:
    """Give a context in use certificate and key: new connections see them. Raises OSError, and changes nothing then."""
    page_context(tls)  # a key that does not fit would leave the context with a certificate alone
    _load(context, tls)


def _load(context: ssl.SSLContext, tls: ListenTls) -> None:
    # Without a password OpenSSL would ask for one at the terminal and wait.
    context.load_cert_chain(tls.certificate, tls.key, password="")


def fingerprint(tls: ListenTls) -> bytes:
    """SHA-256 of the page's certificate, which is the first one in its file. Raises OSError."""
    end = "-----END CERTIFICATE-----"
    _, begin, rest = tls.certificate.read_text(encoding="ascii", errors="replace").partition(
        "-----BEGIN CERTIFICATE-----"
    )
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(begin + rest.partition(end)[0] + end)).digest()


def check_certificates(settings: Settings, written: Written) -> list[Problem]:
    """Problems of the files; the paths in `settings` are absolute."""
    checked = {path: _trouble(path) for _, path in _certificate_files(settings)}
    problems = [
        _problem(written, key, path, trouble, _CERTIFICATES)
        for key, path in _certificate_files(settings)
        if (trouble := checked[path])
    ]
    tls = settings.listen.tls
    if tls is not None and not checked[tls.certificate] and (trouble := _pair_trouble(tls)):
        problems.append(_problem(written, ("listen", "tls", "key"), tls.key, trouble, _KEY))
    return problems


def _certificate_files(settings: Settings) -> Iterator[tuple[KeyPath, Path]]:
    if settings.listen.tls is not None:
        yield ("listen", "tls", "certificate"), settings.listen.tls.certificate
    if settings.tls.ca_file is not None:
        yield ("tls", "ca_file"), settings.tls.ca_file
    for place, entry in enumerate(settings.servers):
        if entry.tls is not None and entry.tls.ca_file is not None:
            yield ("servers", place, "tls", "ca_file"), entry.tls.ca_file


def _trouble(certificates: Path) -> str:
    """Why the file's certificates cannot be used; empty where they can."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(certificates)
    except OSError as error:
        return _words(error)
    return ""


def _pair_trouble(tls: ListenTls) -> str:
    try:
        page_context(tls)
    except OSError as error:
        return _words(error)
    return ""


def _words(error: OSError) -> str:
    """OpenSSL gives a reason in capitals, or none where the file is no PEM of that kind."""
    if not isinstance(error, ssl.SSLError):
        return error.strerror or type(error).__name__
    return error.reason.replace("_", " ").lower() if error.reason else "not readable as PEM"


def _problem(written: Written, key: KeyPath, path: Path, trouble: str, allowed: str) -> Problem:
    shown = describe(str(path), secret=written.is_secret(key))
    return written.problem(key, allowed, found=f"{shown} ({trouble})")
