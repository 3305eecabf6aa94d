"""What an attacker may try, and what must hold for years."""
