"""Tests of the files in deploy/ with the real programs that read them. Run them with `make test-deploy`."""
