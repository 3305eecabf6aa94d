"""A study of routing: a trace of requests replayed over simulated servers, in virtual time."""
