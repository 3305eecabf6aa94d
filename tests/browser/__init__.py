"""The page as its readers have it: a real Chromium over the real daemon and simulated servers."""
