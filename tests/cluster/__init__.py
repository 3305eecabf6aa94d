"""Several daemons over one fleet, and the engine between them, real and made up."""
