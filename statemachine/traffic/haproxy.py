"""HAProxy's configuration of one backend, generated from the settings with a line for each server.

Keywords are those of HAProxy 2.6; docs/traffic.md explains them.
"""

import re
from collections.abc import Iterable
from hashlib import sha256
from ipaddress import ip_address
from string import Template
from urllib.parse import urlsplit

from statemachine.settings.expand import host_and_port
from statemachine.settings.servers import ServerConfig

BACKEND = Template("""\
backend $backend
    mode http
    # Distribute requests in turn over the warm servers: requests are short, only ComfyUI's queues are long.
    balance roundrobin
    # Keep a browser on one server while that is warm: only that server sends the events of its prompts.
    cookie COMFYWARM insert indirect nocache httponly
    option redispatch
    retries 2
    # Read results from the server that ran the prompt, even if it is no longer warm.
    acl results path_beg /history /view /queue /ws /api/history /api/view /api/queue /api/ws
    force-persist if METH_GET results
    # `disabled` until the agent answers `ready`. Without on-marked-down, running jobs continue.
    default-server check inter 2s disabled init-addr libc,none
    default-server agent-check agent-inter 1s agent-addr $agent_host agent-port $agent_port
""")

_PLAIN = re.compile(r"[A-Za-z0-9._:-]")


def backend_text(servers: Iterable[ServerConfig], backend: str, agent_host: str, agent_port: int) -> str:
    """Return the backend, with a comment in place of each server that HAProxy cannot use."""
    head = BACKEND.substitute(backend=_name(backend), agent_host=agent_host, agent_port=agent_port)
    return head + "".join(f"    {_line(server)}\n" for server in servers)


def _line(server: ServerConfig) -> str:
    name = _name(server.name)
    if urlsplit(server.url).path:
        return f"# {name}: left out: HAProxy cannot prefix request paths with the path of {server.url}"
    tls = _tls(server) if server.url.startswith("https:") else ""
    cookie = sha256(server.name.encode()).hexdigest()[:12]
    return f'server {name} {host_and_port(server.url)}{tls} cookie {cookie} agent-send "{_text(server.name)}\\n"'


def _tls(server: ServerConfig) -> str:
    """Return options that verify the certificate against tls.ca_file or the system's authorities, and the host name."""
    authorities = _text(str(server.tls.ca_file)) if server.tls.ca_file else "@system-ca"
    named = "" if _is_address(server.host) else f" sni str({server.host}) verifyhost {server.host}"
    return f' ssl verify required ca-file "{authorities}"{named}'


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _name(name: str) -> str:
    """Return a name with characters that HAProxy does not allow replaced by their code points."""
    return "".join(one if _PLAIN.fullmatch(one) else f"_{ord(one):x}_" for one in name)


def _text(name: str) -> str:
    """Return the text for weak quotes, with every byte that may have a meaning there escaped."""
    return "".join(one if _PLAIN.fullmatch(one) else "".join(f"\\x{byte:02x}" for byte in one.encode()) for one in name)
