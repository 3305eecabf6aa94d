"""Settings: the sections of settings.json, and the loading and validation of a settings file.

A file is validated completely before anything starts. `load` reads it, `source` inserts environment variables,
`model` validates each value, `checks` validates what involves several values, and `servers` resolves the servers.
"""

from statemachine.settings.load import load_client_settings, load_settings, parse_settings
from statemachine.settings.model import Settings, json_schema, resolve_servers
from statemachine.settings.problems import Problem, SettingsError, SettingsFileError
from statemachine.settings.servers import CacheCheckSettings, ServerConfig

__all__ = [
    "CacheCheckSettings",
    "Problem",
    "ServerConfig",
    "Settings",
    "SettingsError",
    "SettingsFileError",
    "json_schema",
    "load_client_settings",
    "load_settings",
    "parse_settings",
    "resolve_servers",
]
