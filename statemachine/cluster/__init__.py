"""Several daemons over one fleet: who owns which server, and how each node comes to know what the others know."""
