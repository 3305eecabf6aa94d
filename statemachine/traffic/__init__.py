"""Lets load balancers follow warmth: HAProxy's agent-check, and the configuration that makes HAProxy ask."""
