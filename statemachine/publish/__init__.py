"""What is known now, and who is told of changes. It knows nothing of runners or of HTTP."""
