"""Checks of the source code that `make check` runs."""
