"""A rolling restart of six servers under the steady load of a client."""
