"""Load settings: return `Settings` or raise `SettingsError` for any input."""

import codecs
import errno
from collections.abc import Collection, Mapping
from pathlib import Path

import orjson
from pydantic import ValidationError

from statemachine.core.messages import Message, message, verbatim
from statemachine.settings.checks import (
    check_alerts,
    check_certificates,
    check_discovery,
    check_fleet,
    check_maintenance,
    check_restarts,
    without_servers,
)
from statemachine.settings.discovery import FileSource, Source
from statemachine.settings.explain import explain
from statemachine.settings.files import not_utf8_at, read_limited, wrong_encoding
from statemachine.settings.listen import check_gateway_tokens, check_tokens, missing_gateway_token, missing_token
from statemachine.settings.model import Settings
from statemachine.settings.problems import Problem, SettingsError, SettingsFileError, wrong_value
from statemachine.settings.source import SettingsSource, expand_environment, references

MAX_BYTES = 16 * 2**20
"""20,000 servers with long headers have some megabytes."""


def load_settings(path: Path, environ: Mapping[str, str]) -> Settings:
    """Return the settings of a JSON file. Raises SettingsError.

    Relative paths start at the folder of `path` itself, even if it is a symbolic link.
    """
    settings = parse_settings(read_json(path), path.absolute().parent, environ)
    if problems := [*missing_token(settings.listen), *missing_gateway_token(settings.gateway)]:
        raise SettingsError(tuple(problems))
    return settings


def load_client_settings(path: Path, environ: Mapping[str, str]) -> Settings:
    """Return the settings of a daemon for its clients, which need no secret but their own. Raises SettingsError.

    Variables that are not set stay as they are written, and tokens with such variables are left out.
    """
    data = read_json(path)
    try:
        unset = {name: f"${{{name}}}" for name in references(data) if name not in environ}
    except RecursionError:
        unset = {}  # parsing names the place that is nested too deeply
    return parse_settings(_without_tokens(data, unset), path.absolute().parent, {**environ, **unset})


def _without_tokens(data: object, unset: Collection[str]) -> object:
    """Return the data without the tokens that need one of these variables."""
    match data:
        case {"listen": dict() as listen, **others}:
            known = {key: value for key, value in listen.items() if key != "token" or not _needs(value, unset)}
            if isinstance(tokens := listen.get("tokens"), dict):
                known["tokens"] = {name: one for name, one in tokens.items() if not _needs(one, unset)}
            return {**others, "listen": known}
    return data


def _needs(value: object, unset: Collection[str]) -> bool:
    return not set(unset).isdisjoint(references(value))


def parse_settings(data: object, base_dir: Path, environ: Mapping[str, str]) -> Settings:
    """Return the settings of decoded JSON. Raises SettingsError."""
    source, problems = expand_environment(data, environ)
    settings, more = _validate(source)
    reported = {problem.path for problem in problems}
    problems += [problem for problem in more if problem.path not in reported]
    if problems or settings is None:
        raise SettingsError(tuple(problems))
    settings = _with_absolute_paths(settings, base_dir)
    if problems := check_certificates(settings, source):
        raise SettingsError(tuple(problems))
    return settings


def read_json(path: Path) -> object:
    """Return the decoded JSON of a settings file. Raises SettingsError.

    It raises outside of `except`: an exception's context would hold the file's text with its secrets.
    """
    try:
        data = read_limited(path, MAX_BYTES)
        if len(data) > MAX_BYTES:
            raise OSError(errno.EFBIG, f"larger than {MAX_BYTES} bytes")  # noqa: TRY301 - like other files
    except OSError as error:
        raise SettingsFileError(path, error) from None
    data = data.removeprefix(codecs.BOM_UTF8)
    if encoding := wrong_encoding(data):
        raise SettingsError((Problem(str(path), encoding, message("save_as_utf8")),))
    if place := not_utf8_at(data):
        raise SettingsError((_invalid_json(path, *place, message("file_not_utf8")),))
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:
        problem = _invalid_json(path, error.lineno, error.colno, verbatim(error.msg))
    raise SettingsError((problem,))


def _invalid_json(path: Path, line: int, column: int, error: Message) -> Problem:
    found = message("settings.invalid_json", error=error)
    return wrong_value(f"{path}:{line}:{column}", found, message("settings.json"))


def _validate(source: SettingsSource) -> tuple[Settings | None, list[Problem]]:
    try:
        settings = Settings.model_validate(source.data)
    except ValidationError as error:
        return None, [*without_servers(source), *explain(error, source)]
    problems = (
        check_discovery(settings, source)
        + check_fleet(settings, source)
        + check_alerts(settings, source)
        + check_maintenance(settings, source)
        + check_restarts(settings, source)
        + check_tokens(settings.listen, source)
    )
    return settings, problems + check_gateway_tokens(settings.gateway, source)


def _with_absolute_paths(settings: Settings, base_dir: Path) -> Settings:
    gateway = settings.gateway
    log_file = settings.logging.file and base_dir / settings.logging.file
    page = settings.listen.tls and settings.listen.tls.below(base_dir)
    servers = tuple(
        entry.model_copy(
            update={
                "tls": entry.tls and entry.tls.below(base_dir),
                "restart": entry.restart and entry.restart.below(base_dir),
            }
        )
        if entry.tls or entry.restart
        else entry
        for entry in settings.servers
    )
    return settings.model_copy(
        update={
            "data_dir": base_dir / settings.data_dir,
            "workflows_dir": base_dir / settings.workflows_dir,
            "logging": settings.logging.model_copy(update={"file": log_file}),
            "listen": settings.listen.model_copy(update={"tls": page}),
            "tls": settings.tls.below(base_dir),
            "gateway": gateway and gateway.model_copy(update={"data_dir": base_dir / gateway.data_dir}),
            "cluster": settings.cluster and settings.cluster.below(base_dir),
            "servers": servers,
            "restart": settings.restart.below(base_dir),
            "discovery": tuple(_source_below(one, base_dir) for one in settings.discovery),
        }
    )


def _source_below(source: Source, folder: Path) -> Source:
    paths: dict[str, object] = {"tls": source.tls.below(folder)} if source.tls else {}
    if source.restart:
        paths["restart"] = source.restart.below(folder)
    if isinstance(source, FileSource):
        paths["path"] = folder / source.path
    return source.model_copy(update=paths) if paths else source
