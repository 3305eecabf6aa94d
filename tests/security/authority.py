"""A private certificate authority that writes its certificates to files."""

import ssl
from dataclasses import dataclass
from pathlib import Path

import trustme


@dataclass(frozen=True)
class Pair:
    """The PEM files of a certificate and its key."""

    certificate: Path
    key: Path

    def server_context(self) -> ssl.SSLContext:
        """Return a context for a server that presents the certificate."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self.key)
        return context


class Authority:
    """A certificate authority. Its own certificate is `folder`/NAME-ca.pem."""

    def __init__(self, folder: Path, name: str = "private") -> None:
        self._folder = folder
        self._name = name
        self._ca = trustme.CA(organization_name=f"The {name} authority")
        self.file = folder / f"{name}-ca.pem"
        self._ca.cert_pem.write_to_path(str(self.file))

    def certify(self, *hosts: str) -> Pair:
        """Issue a certificate for these names or addresses."""
        issued = self._ca.issue_cert(*hosts)
        pair = Pair(self._folder / f"{self._name}-{hosts[0]}.pem", self._folder / f"{self._name}-{hosts[0]}.key")
        issued.cert_chain_pems[0].write_to_path(str(pair.certificate))
        issued.private_key_pem.write_to_path(str(pair.key))
        return pair
