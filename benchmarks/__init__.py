"""Benchmarks of comfywarm, each compared with a minimal baseline from the same run."""
