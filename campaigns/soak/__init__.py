"""The daemon as a process over many restless servers for a long time: what grows? `python -m campaigns.soak`."""
