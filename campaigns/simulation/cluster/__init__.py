"""A cluster in virtual time: several daemons over one fleet and one engine, which are killed, stopped and cut off."""
