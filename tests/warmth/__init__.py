"""How warm the fleet was: the fold of the event log, its figures, and the follower of a real journal."""
