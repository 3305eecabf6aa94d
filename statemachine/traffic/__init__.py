"""Load balancing by warmth: HAProxy's agent checks, its configuration, and the choice of a warm server."""
