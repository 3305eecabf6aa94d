"""What the operator wrote, checked whole before anything starts.

The way of a settings file: `load` reads it, `environment` puts the secrets in, `model` checks every value,
`fleet_checks` checks what only the whole can show, `servers` makes one `ServerConfig` for each server.
"""

from statemachine.settings.load import load_settings, parse_settings
from statemachine.settings.model import CacheCheckSettings, Settings, json_schema
from statemachine.settings.problems import Problem, SettingsError, SettingsFileError
from statemachine.settings.servers import ServerConfig, resolve_servers

__all__ = [
    "CacheCheckSettings",
    "Problem",
    "ServerConfig",
    "Settings",
    "SettingsError",
    "SettingsFileError",
    "json_schema",
    "load_settings",
    "parse_settings",
    "resolve_servers",
]
