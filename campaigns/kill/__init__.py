"""The daemon as a process over simulated servers, killed with SIGKILL at chosen moments: `python -m campaigns.kill`.

The simulated servers live in the test's own process, so they can say when a POST arrives, and it is their records, not
the daemon's, by which duplicates and cold servers are judged. Stream and `tail` are read through all lives, and what
was read before a kill is compared with the journal afterwards.
"""
