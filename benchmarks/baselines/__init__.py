"""The least that any program would have to do for the same job, with the same libraries."""
