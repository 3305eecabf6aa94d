"""Gateways, servers and the daemon are killed under load: `python -m campaigns.gateway`.

Clients post prompts to two gateways without pause and learn how each ends. The servers' own records show which prompts
ran; with `--real` these are the files that real ComfyUI servers have written.
"""
