"""Tests of the warmth history, its figures, and the service that follows the journal."""
