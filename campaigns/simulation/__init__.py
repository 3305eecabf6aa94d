"""Days of a fleet's life in virtual time: the real fleet over a seeded network, disk and set of servers.

Everything is passed in, nothing is patched; every step is judged by rules that know the whole truth.
"""
