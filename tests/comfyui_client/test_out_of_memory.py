"""Exceptions for lack of memory, as public reports quote them, and exceptions that only resemble them."""

import pytest

from statemachine.comfyui.out_of_memory import is_out_of_memory

ADVICE = (
    "Search for `cudaErrorAssert' in https://docs.nvidia.com/cuda/cuda-runtime-api/group__CUDART__TYPES.html for more "
    "information. CUDA kernel errors might be asynchronously reported at some other API call, so the stacktrace below "
    "might be incorrect. For debugging consider passing CUDA_LAUNCH_BLOCKING=1 Compile with `TORCH_USE_CUDA_DSA` to "
    "enable device-side assertions."
)


@pytest.mark.parametrize(
    "kind",
    [
        "torch.OutOfMemoryError",
        "torch.cuda.OutOfMemoryError",
        "torch._C._OutOfMemoryError",
        "cupy.cuda.memory.OutOfMemoryError",
        "MemoryError",
        "numpy.core._exceptions._ArrayMemoryError",
        "numpy._core._exceptions._ArrayMemoryError",
        "numpy.core._exceptions.MemoryError",
    ],
)
def test_is_out_of_memory_class_suffices(kind: str) -> None:
    assert is_out_of_memory(kind, "")


@pytest.mark.parametrize(
    "text",
    [
        "CUDA out of memory. Tried to allocate 2.25 GiB. GPU 0 has a total capacity of 23.69 GiB",
        "CUDA error: out of memory Search for `cudaErrorMemoryAllocation' in https://docs.nvidia.com/cuda",
        "HIP out of memory. Tried to allocate 26.00 MiB. GPU 0 has a total capacity of 107.87 GiB",
        "HIP error: hipErrorOutOfMemory",
        "RESOURCE_EXHAUSTED: Failed to allocate request for 2.0GiB (2147483648B) on device ordinal 0",
        "The GPU device does not have enough available memory to run this",
        "no more memory available on device",
        "there is no available VRAM",
        "CUDA: memory exhausted",
        "vk::Device::allocateMemory: ErrorOutOfDeviceMemory",
        "System.OutOfMemoryException",
        "HRESULT 0x8007000E",
        "bfc_arena.cc:376 Available memory of 123 is smaller than requested bytes of 456",
        "[WinError 1450] Insufficient system resources exist to complete the requested service",
        "[WinError 8] 内存资源不足，无法处理此命令。",
        "显存已满",
        "GPU 显存耗尽",
        "爆显存了",
        "MPS backend out of memory (MPS allocated: 16.91 GB, other allocations: 2.77 MB, max allowed: 18.13 GB).",
        "XPU out of memory. Tried to allocate 5.12 GiB (GPU 0; 15.11 GiB total capacity)",
        "NPU out of memory. Tried to allocate 72.00 MiB (NPU 0; 61.27 GiB total capacity)",
        "Native API failed. Native API returns: 39 (UR_RESULT_ERROR_OUT_OF_DEVICE_MEMORY)",
        "Native API failed. Native API returns: 38 (UR_RESULT_ERROR_OUT_OF_HOST_MEMORY)",
        "level_zero backend failed with error: 40 (UR_RESULT_ERROR_OUT_OF_RESOURCES)",
        "Native API failed. Native API returns: -5 (PI_ERROR_OUT_OF_RESOURCES) -5 (PI_ERROR_OUT_OF_RESOURCES)",
        "Native API returns: -4 (CL_MEM_OBJECT_ALLOCATION_FAILURE)",
        "Could not allocate tensor with 58982400 bytes. There is not enough GPU video memory available!",
        "Allocation on device 0 would exceed allowed memory. (out of memory) Currently allocated : 14.81 GiB",
        "Allocation on device",
        "[enforce fail at alloc_cpu.cpp:80] DefaultCPUAllocator: not enough memory: you tried to allocate 8 bytes.",
        "[enforce fail at alloc_cpu.cpp:73] DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes.",
        "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
        "cuDNN error: CUDNN_STATUS_ALLOC_FAILED",
        "cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED",
        "ggml_gallocr_reserve_n: failed to allocate CUDA0 buffer of size 1234",
        "cuFFT error: CUFFT_ALLOC_FAILED",
        "CUDA error: HIPBLAS_STATUS_ALLOC_FAILED when calling `hipblasCreate(handle)`",
        "CUDA driver error: CUDA_ERROR_OUT_OF_MEMORY",
        "Not enough memory, use lower resolution (max approx. 768x768). Need: 3.8GB free, Have:2.4GB free",
        "The paging file is too small for this operation to complete. (os error 1455)",
        "[WinError 1455] 页面文件太小，无法完成操作。 Error loading \"torch_cuda.dll\" or one of its dependencies.",
        "[WinError 8] Not enough memory resources are available to process this command",
        "[WinError 14] Not enough storage is available to complete this operation",
        "unable to mmap 23802932552 bytes from file <flux1-dev.safetensors>: Cannot allocate memory (12)",
        "Cannot allocate memory (os error 12)",
        "[Errno 12] Cannot allocate memory",
        "Unable to allocate 32.0 GiB for an array with shape (2048, 2048, 2048, 4) and data type uint8",
        "Unable to allocate array with shape (9681, 9681) and data type float64",
        "onnxruntime::BFCArena::AllocateRawInternal Failed to allocate memory for requested buffer of 9",
        "std::bad_alloc",
        "bad allocation",
        "Invalid buffer size: 19.38 GiB",
        "Insufficient Memory (00000008:kIOGPUCommandBufferCallbackErrorOutOfMemory)",
        "OpenCV(4.9.0) alloc.cpp:73: error: (-4:Insufficient memory) Failed to allocate 9 bytes in 'OutOfMemoryError'",
        "OOM when allocating tensor with shape[1,512,512,3]",
        "显存不足，请降低分辨率",
    ],
)  # fmt: skip
def test_is_out_of_memory_texts_of_drivers_and_libraries(text: str) -> None:
    assert is_out_of_memory("RuntimeError", text)
    assert is_out_of_memory("torch.AcceleratorError", text)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("torch.AcceleratorError", f"CUDA error: device-side assert triggered {ADVICE}"),
        ("torch.AcceleratorError", f"CUDA error: an illegal memory access was encountered {ADVICE}"),
        ("RuntimeError", "CUDA error: CUBLAS_STATUS_NOT_INITIALIZED when calling `cublasCreate(handle)`"),
        ("RuntimeError", "Native API failed. Native API returns: 20 (UR_RESULT_ERROR_DEVICE_LOST)"),
        ("triton.runtime.errors.OutOfResources", "out of resource: shared memory, Required: 147456, Hardware limit: 1"),
        ("RuntimeError", "CUDA error: too many resources requested for launch"),
        ("AttributeError", "module 'torch.cuda' has no attribute 'OutOfMemoryError'"),
        ("ImportError", "cannot import name 'OutOfMemoryMixin' from 'comfy.model_management'"),
        ("plugin.OutOfMemoryMixin", "x"),
        ("plugin.SharedMemoryError", "cannot open shared memory"),
        ("ImportError", "libgomp.so.1: cannot allocate memory in static TLS block"),
        ("IndexError", "list index out of range"),
        ("ValueError", "sigma out of bounds; memory format must be contiguous"),
        ("RuntimeError", "expected memory format channels_last"),
        ("OSError", "[Errno 28] No space left on device"),
        ("OSError", "[WinError 87] The parameter is incorrect"),
        ("OSError", "Exec format error (os error 8)"),
        ("RuntimeError", "Invalid buffer size: expected 4 channels"),
        ("RuntimeError", "cannot allocate tensor subclass Foo"),
        ("ValueError", "not enough values to unpack (expected 3, got 2)"),
        ("KeyError", "'memory'"),
        ("ValueError", "tile size is 0; use a smaller one if you run out of memory"),
        ("ValueError", "block_swap must be positive to avoid out of memory"),
        ("", ""),
    ],
)
def test_is_out_of_memory_other_exceptions_are_not(kind: str, text: str) -> None:
    assert not is_out_of_memory(kind, text)
