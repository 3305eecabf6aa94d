"""A stand-in for Inspire-Pack's package of this name: the companion node finds the cache by the module name."""
