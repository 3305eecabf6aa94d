"""A daemon process over faulty servers for a long time, to detect growth: `python -m campaigns.soak`."""
