"""Tests of the cluster, over a fake store in virtual time and over real NATS servers."""
