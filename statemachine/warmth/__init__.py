"""How warm the fleet was: figures from the journal."""
