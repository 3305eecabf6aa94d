"""The contracts of ports that a single daemon and a cluster node implement."""
