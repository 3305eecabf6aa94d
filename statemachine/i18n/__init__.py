"""Every text that people read, in every language, side by side."""
