"""The journal: attempts and the event log, which survive the daemon, in SQLite."""
