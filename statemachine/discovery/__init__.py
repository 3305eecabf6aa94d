"""Sources of servers that come and go, and the fleet that their answers make."""
