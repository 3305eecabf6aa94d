"""The fleet at work: one runner a server, which feeds the machine and does what its state demands."""
