"""Text in which there is nothing that a terminal would obey: a server's own words may be among it."""


def one_line(text: str) -> str:
    """White space becomes a blank; what cannot be printed, or turns the writing round, is written as its escape."""
    return harmless(" ".join(text.split()))


def harmless(text: str) -> str:
    """The same, but the lines stay."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() or one == "\n" else one.encode("unicode_escape").decode() for one in text)
