"""`init`, `add` and `remove`: write the settings file, so that a new operator needs no editor."""

import os
import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import mkstemp
from typing import Annotated, Any

import orjson
import typer
from rich.text import Text

from statemachine.cli.context import console, fail, language_of, settings_path
from statemachine.cli.names import group_names, server_names
from statemachine.core.messages import Message, message, verbatim, without_error_number
from statemachine.i18n.render import render
from statemachine.i18n.text import Language
from statemachine.settings import SettingsError, parse_settings
from statemachine.settings.expand import expand_url
from statemachine.settings.load import read_json
from statemachine.settings.problems import NotAllowedError

NEW_FILE_MODE = 0o600
"""The file may hold tokens."""

COMFYUI_PORT = 8188

Urls = Annotated[list[str] | None, typer.Argument(metavar="[URL]...")]


def init(context: typer.Context, urls: Urls = None) -> None:
    """Write a new settings file with these servers. An existing file is not changed."""
    path, language = settings_path(context), language_of(context)
    if os.path.lexists(path):
        fail(message("cli.settings_exist", path=str(path)), language)
    data: dict[str, Any] = {"servers": [with_scheme(url) for url in urls or ()]}
    if urls:
        _require_valid(path, data, language)
    _save(path, data, NEW_FILE_MODE, language)
    _say(message("cli.initialised" if urls else "cli.initialised_empty", path=str(path)), language)
    _say_ports(urls or (), language)


def add(
    context: typer.Context,
    urls: Annotated[list[str], typer.Argument(metavar="URL...")],
    name: Annotated[str | None, typer.Option("--name", metavar="NAME")] = None,
    group: Annotated[str | None, typer.Option("--group", metavar="NAME", autocompletion=group_names)] = None,
) -> None:
    """Add servers to the settings file. A running daemon takes them over by itself."""
    path, language = settings_path(context), language_of(context)
    if name is not None and len(urls) > 1:
        fail(message("cli.one_name", name=name), language)
    data = _read(path, language)
    entries = [_entry(with_scheme(url), name, group) for url in urls]
    if known := _addresses(entries) & _addresses(data["servers"]):
        fail(message("cli.already_added", urls=sorted(known), path=str(path)), language)
    data["servers"] = [*data["servers"], *entries]
    _require_valid(path, data, language)
    _save(path, data, path.stat().st_mode & 0o777, language)
    _say(message("cli.added", urls=[entry_url(one) for one in entries], path=str(path)), language)
    _say_ports(urls, language)


def remove(
    context: typer.Context,
    servers: Annotated[list[str], typer.Argument(metavar="SERVER...", autocompletion=server_names)],
) -> None:
    """Remove servers from the settings file, by name or URL. A running daemon follows by itself."""
    path, language = settings_path(context), language_of(context)
    data = _read(path, language)
    named = {name: url for entry in data["servers"] for name, url in _servers(entry).items()}
    wanted = {name: _addresses([named.get(name) or with_scheme(name)]) for name in servers}
    if absent := sorted(name for name, urls in wanted.items() if not urls or urls - set(named.values())):
        fail(message("cli.not_in_settings", servers=absent, path=str(path)), language)
    gone = set[str]().union(*wanted.values())
    data["servers"] = [entry for entry in data["servers"] if not _is_removed(entry, gone, path, language)]
    if not data["servers"] and not data.get("discovery"):
        fail(message("cli.last_server", path=str(path)), language)
    _require_valid(path, data, language)
    _save(path, data, path.stat().st_mode & 0o777, language)
    _say(message("cli.removed", urls=sorted(gone), path=str(path)), language)


def _servers(entry: Any) -> dict[str, str]:
    """Return the URLs of the servers of an entry by their names. An invalid entry has none."""
    given = entry if isinstance(entry, dict) else {"url": entry}
    with suppress(NotAllowedError, TypeError):
        return {given.get("name") or one.host_and_port: one.url for one in expand_url(given.get("url", ""))}
    return {}


def _is_removed(entry: Any, gone: set[str], path: Path, language: Language) -> bool:
    """Tell whether all servers of the entry are to go; fail if it is a range of which others stay."""
    urls = _addresses([entry])
    if urls & gone and urls - gone:
        fail(message("cli.part_of_range", urls=sorted(urls & gone), range=entry_url(entry), path=str(path)), language)
    return bool(urls & gone)


def with_scheme(url: str) -> str:
    """Return the URL; HOST:PORT stands for http, and HOST for ComfyUI's default port."""
    if "://" in url:
        return url
    authority, rest = _split_authority(url)
    port = "" if _has_port(authority) else f":{COMFYUI_PORT}"
    return f"http://{authority}{port}{rest}"


def _split_authority(url: str) -> tuple[str, str]:
    end = re.search(r"[/?#]", url)
    return (url[: end.start()], url[end.start() :]) if end else (url, "")


def _has_port(authority: str) -> bool:
    """Tell whether there is a port, outside of ranges and IPv6 addresses. A variable may hold one."""
    return "$" in authority or ":" in re.sub(r"\[[^\]]*\]", "", authority)


def _say_ports(urls: Sequence[str], language: Language) -> None:
    """Name the ports that were chosen for the operator."""
    bare = [url for url in urls if "://" not in url and with_scheme(url) != f"http://{url}"]
    if bare:
        _say(message("cli.comfyui_port", urls=bare, port=COMFYUI_PORT), language)
    plain = [url for url in urls if url.lower().startswith("http://") and not _has_port(_split_authority(url[7:])[0])]
    if plain:
        _say(message("cli.http_port", urls=plain, port=COMFYUI_PORT), language)


def entry_url(entry: str | dict[str, str]) -> str:
    """Return the URL of an entry of `servers`."""
    return entry if isinstance(entry, str) else entry["url"]


def _addresses(entries: Sequence[Any]) -> set[str]:
    """Return the URLs of these entries of `servers`, ranges expanded. Invalid entries have none."""
    found: set[str] = set()
    for entry in entries:
        url = entry.get("url") if isinstance(entry, dict) else entry
        with suppress(NotAllowedError):
            found.update(server.url for server in expand_url(url if isinstance(url, str) else ""))
    return found


def _entry(url: str, name: str | None, group: str | None) -> str | dict[str, str]:
    given = {key: value for key, value in {"name": name, "group": group}.items() if value is not None}
    return {"url": url, **given} if given else url


def _read(path: Path, language: Language) -> dict[str, Any]:
    try:
        data = read_json(path)
    except SettingsError as error:
        fail(verbatim(error.text(language)), language)
    if not isinstance(data, dict) or not isinstance(data.setdefault("servers", []), list):
        fail(message("cli.no_server_list", path=str(path)), language)
    return data


def _require_valid(path: Path, data: dict[str, Any], language: Language) -> None:
    """Fail with the problems that the file would have. Nothing has been written then."""
    try:
        parse_settings(data, path.absolute().parent, os.environ)
    except SettingsError as error:
        fail(verbatim(f"{path}: {error.text(language)}"), language)


def _save(path: Path, data: dict[str, Any], mode: int, language: Language) -> None:
    text = orjson.dumps(data, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
    try:
        replace_file(path, text, mode)
    except OSError as error:
        fail(message("cli.cannot_write", path=str(path), error=without_error_number(str(error))), language)


def replace_file(path: Path, content: bytes, mode: int) -> None:
    """Replace the file in one step, so that a daemon never reads half of it. A link stays a link."""
    target = path.resolve()
    descriptor, name = mkstemp(dir=target.parent, prefix=f".{target.name}.")
    fresh = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        fresh.replace(target)
    finally:
        fresh.unlink(missing_ok=True)


def _say(what: Message, language: Language) -> None:
    console().print(Text(render(what, language)), soft_wrap=True)
