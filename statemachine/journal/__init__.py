"""What must survive the daemon: attempts and the event log, in SQLite."""
