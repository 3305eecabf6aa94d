"""The page's icons as SVG paths on a square of 16: the page draws them in its document, and its map on a canvas."""

_LENS = "M10.8 7a3.8 3.8 0 1 1-7.6 0 3.8 3.8 0 0 1 7.6 0ZM9.8 9.8l3.4 3.4"
_FLAME = "M8 14c-2.6 0-4.4-1.8-4.4-4.2C3.6 6.6 7.4 5.8 7.2 2c2.8 1.2 5.2 4.4 5.2 7.6C12.4 12.2 10.6 14 8 14Z"
_BARS = "M5.6 3.6v8.8M10.4 3.6v8.8"
_CROSS = "m4 4 8 8M12 4l-8 8"

SHAPES: dict[str, str] = {
    # States: told by shape as well as by colour and words
    "unknown": "M5.6 6.2a2.4 2.4 0 1 1 3.5 2.2c-.8.4-1.1.8-1.1 1.6M8 12.4v.1",
    "checking": _LENS,
    "loaded": "m3.2 8.4 3.2 3.2 6.4-7",
    "cold": "M8 2v12M2.8 5l10.4 6M13.2 5 2.8 11",
    "auto_executing": "M13 6.6A5.2 5.2 0 0 0 3.6 5M3 9.4A5.2 5.2 0 0 0 12.4 11M3.4 2.2V5h2.8M12.6 13.8V11H9.8",
    "submitting": "M8 13V3.4M4 7.2l4-4 4 4",
    "warming": _FLAME,
    "unreachable": _CROSS,
    "failed": "M8 2.4 14.4 13.4H1.6ZM8 6.8v2.8M8 11.6v.1",
    "paused": _BARS,
    # What the operator does
    "check": _LENS,
    "warm": _FLAME,
    "pause": _BARS,
    "resume": "M5 3.2v9.6L12.6 8Z",
    "open": "m6 4 4 4-4 4",
    "close": _CROSS,
    "theme-auto": "M2.4 3.4h11.2v7.2H2.4ZM5.6 13.2h4.8",
    "theme-light": "M10.8 8a2.8 2.8 0 1 1-5.6 0 2.8 2.8 0 0 1 5.6 0ZM8 1.8v1.4M8 12.8v1.4M1.8 8h1.4M12.8 8h1.4"
    "M3.6 3.6l1 1M11.4 11.4l1 1M12.4 3.6l-1 1M4.6 11.4l-1 1",
    "theme-dark": "M13.2 9.6A5.6 5.6 0 0 1 6.4 2.8a5.6 5.6 0 1 0 6.8 6.8Z",
}
