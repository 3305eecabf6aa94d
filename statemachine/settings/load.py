"""The one door into the settings: whatever comes in, `Settings` or `SettingsError` comes out."""

import codecs
from collections.abc import Mapping
from pathlib import Path

import orjson
from pydantic import ValidationError

from statemachine.settings.certificates import check_certificates
from statemachine.settings.environment import EnvironmentExpansion
from statemachine.settings.explain import Written, explain
from statemachine.settings.fleet_checks import check_alerts, check_fleet
from statemachine.settings.model import Settings
from statemachine.settings.problems import Problem, SettingsError, SettingsFileError


def load_settings(path: Path, environ: Mapping[str, str]) -> Settings:
    """The settings of a JSON file; SettingsError holds all that is wrong with them.

    Relative folders are taken from where `path` itself stands, not from where a symbolic link leads.
    """
    return parse_settings(_read_json(path), path.absolute().parent, environ)


def parse_settings(data: object, base_dir: Path, environ: Mapping[str, str]) -> Settings:
    """The settings in decoded JSON; SettingsError holds all that is wrong with them."""
    expansion = EnvironmentExpansion(environ)
    expanded = expansion.expand(data)
    written = Written(expanded, frozenset(expansion.secret_paths))
    settings, problems = _validate(written)
    reported = {problem.path for problem in expansion.problems}
    problems = expansion.problems + [problem for problem in problems if problem.path not in reported]
    if problems or settings is None:
        raise SettingsError(tuple(problems))
    settings = _with_absolute_paths(settings, base_dir)
    if problems := check_certificates(settings, written):
        raise SettingsError(tuple(problems))
    return settings


def _read_json(path: Path) -> object:
    """Raises outside of `except`: an exception's context would carry the file's text and its secrets."""
    try:
        return orjson.loads(path.read_bytes().removeprefix(codecs.BOM_UTF8))
    except OSError as error:
        raise SettingsFileError(path, error) from None
    except orjson.JSONDecodeError as error:
        problem = Problem(f"{path}:{error.lineno}:{error.colno}", f"no JSON ({error.msg})", "JSON in UTF-8")
    raise SettingsError((problem,))


def _validate(written: Written) -> tuple[Settings | None, list[Problem]]:
    try:
        settings = Settings.model_validate(written.data)
    except ValidationError as error:
        return None, explain(error, written)
    return settings, check_fleet(settings, written) + check_alerts(settings, written)


def _with_absolute_paths(settings: Settings, base_dir: Path) -> Settings:
    log_file = settings.logging.file and base_dir / settings.logging.file
    page = settings.listen.tls and settings.listen.tls.below(base_dir)
    servers = tuple(
        entry.model_copy(update={"tls": entry.tls.below(base_dir)}) if entry.tls else entry
        for entry in settings.servers
    )
    return settings.model_copy(
        update={
            "data_dir": base_dir / settings.data_dir,
            "workflows_dir": base_dir / settings.workflows_dir,
            "logging": settings.logging.model_copy(update={"file": log_file}),
            "listen": settings.listen.model_copy(update={"tls": page}),
            "tls": settings.tls.below(base_dir),
            "cluster": settings.cluster and settings.cluster.below(base_dir),
            "servers": servers,
        }
    )
