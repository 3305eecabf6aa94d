"""Tests against real ComfyUI servers on the CPU. They also check the simulator, which other tests rely on."""
