"""Restart hooks: the command or the request that restarts a server."""
