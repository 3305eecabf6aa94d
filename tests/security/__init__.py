"""Tests of what docs/security.md promises: secrets, TLS, the terminal and the files in deploy/."""
