"""Tests of the page in a real Chromium, over the real daemon and simulated servers."""
