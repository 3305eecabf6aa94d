"""Lets load balancers follow warmth."""
