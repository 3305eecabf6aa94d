"""What tests of several packages and the campaigns share."""
