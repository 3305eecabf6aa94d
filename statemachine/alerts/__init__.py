"""Tells people what they should know, through the services they already use."""
