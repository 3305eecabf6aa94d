"""Values of a server's JSON as text, however deeply they are nested."""

import orjson


def json_text(value: object) -> str:
    """Return a text as it is and any other value as JSON.

    Raises TypeError for a value nested more than 254 levels deep. `str()` of such a value raises RecursionError or
    returns a long text, depending on the version of Python.
    """
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def shown(value: object) -> str:
    """Return the value as text for a message; never raises."""
    try:
        return json_text(value)
    except TypeError:
        return "(nested too deeply)"
