"""Alerts: rules, notifications, and the channels that send them."""
