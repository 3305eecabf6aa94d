"""Honest servers beside hostile ones of every kind at once: `python -m campaigns.hostile`.

The daemon, the hostile servers and the client that measures the daemon's answers each run in a process of their own.
The honest servers run in the campaign's process, which also plays the service manager with its watchdog.
"""
