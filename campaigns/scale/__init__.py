"""The size of a cluster: nodes over one large fleet in virtual time, and what each stage costs."""
