"""Setup of all alert tests."""

import tests.alerts.loading  # noqa: F401 - imported for its side effect
