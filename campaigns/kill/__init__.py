"""A daemon process that is killed with SIGKILL at chosen moments: `python -m campaigns.kill`.

The simulated servers run in the campaign's process and report when a POST arrives. Duplicates and cold servers are
detected from the servers' own records. Stream and `tail` are read across all runs and compared with the journal.
"""
