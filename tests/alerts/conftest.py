"""What every test of alerts needs."""

import tests.alerts.loading  # noqa: F401 - imported for what it does
