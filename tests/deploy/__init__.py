"""What is shipped in deploy/, tried with the real programs that it is for. `make test-deploy` runs this."""
