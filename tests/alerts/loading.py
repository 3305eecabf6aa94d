"""Import apprise once without the deprecation warnings of its plug-ins."""

import warnings

from statemachine.settings.apprise_urls import is_understood

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    is_understood("json://localhost")
