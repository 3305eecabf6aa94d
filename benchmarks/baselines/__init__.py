"""The baselines: minimal programs for the same tasks, with the same libraries."""
