"""The rig: real ComfyUI servers on the CPU, because a simulator can only be as right as what checks it."""
