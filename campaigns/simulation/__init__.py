"""Days of a fleet in virtual time: the real fleet over a seeded network, disk and set of servers.

The invariants see both ends of every connection and are checked at every step.
"""
