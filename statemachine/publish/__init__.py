"""The current state of the fleet and the messages about its changes, independent of server tasks and of HTTP."""
