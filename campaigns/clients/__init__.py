"""Public client programs, unchanged, through a gateway over three real ComfyUI servers: `python -m campaigns.clients`.

Each runs in a virtual environment of its own, which the campaign installs. It uploads a picture, has it inverted, and
downloads the result; pictures of others must not reach it.
"""
