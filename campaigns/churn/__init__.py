"""Servers that come and go in virtual time, thousands a day, from sources that fail, answer empty or repeat them.

The real fleet, discovery and journal run over simulated servers. `python -m campaigns.churn` runs a day.
"""
