"""Three daemon processes over one fleet, killed, frozen and cut off: `python -m campaigns.cluster`.

The simulated servers run in another process and record every POST. Three real nats-servers connect the daemons. The
owner of a server is read from the bucket `servers`. All times are of `time.monotonic`, which is comparable between
processes.
"""
