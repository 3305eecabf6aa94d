"""The choice of a server for a request, by the models that it needs. Pure: times are arguments, nothing is random."""
