"""Rolling restarts: stored, carried out and changed by clients. `core/rollout_step.py` decides."""
