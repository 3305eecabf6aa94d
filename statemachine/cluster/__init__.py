"""Run the daemon as one node of several that share a fleet."""
