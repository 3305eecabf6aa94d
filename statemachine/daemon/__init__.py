"""The running daemon: its composition root, its files and its process."""
