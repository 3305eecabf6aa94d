"""A cluster in virtual time: daemons that share a fleet, with crashes, freezes and partitions."""
