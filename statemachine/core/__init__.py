"""What comfywarm decides, and nothing else: no I/O, no clock, no randomness of its own.

Everything here is a plain function of what it is given, so a day of a fleet's life can be played in a second.
"""
