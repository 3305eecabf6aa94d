"""Three daemons over one fleet as real processes, killed, frozen and cut off: `python -m campaigns.cluster`.

Simulated servers in a process of their own keep books of every POST; three real nats-servers stand between the daemons.
Who owns a server is read from the bucket `servers`, as any node reads it. All instants are of the system's one steady
clock (`time.monotonic`), so those of different processes can be compared.
"""
