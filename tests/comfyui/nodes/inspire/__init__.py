"""Stands in for Inspire-Pack's package of the same name, so that its cache is found by the same module name."""
