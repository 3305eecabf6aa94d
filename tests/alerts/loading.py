"""Loads apprise once: some of its plug-ins use modules that Python has marked as deprecated, which is not our news."""

import warnings

from statemachine.settings.apprise_urls import is_understood

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    is_understood("json://localhost")
