"""Tests of the gateway over real sockets, with simulated servers."""
