"""Whether the exception of a node means that the GPU or the host ran out of memory.

Only torch's own allocator raises a class for it; drivers, operating systems and other libraries only have texts.
"""

import re

_CLASS = re.compile(r"(^|[._])(Array)?MemoryError$|OutOfMemory(Error|Exception)$")
"""Python's MemoryError, numpy's `_ArrayMemoryError`, and `torch.OutOfMemoryError` under its many names."""

_MEMORY = r"(?:(?:available|free|cpu|gpu|device|host|physical|system|video|virtual) )*(?:memory|v?ram)\b"
"""Not "shared memory", which belongs to a kernel, and not "an illegal memory access"."""

_TEXTS = (
    # CUDA, HIP, MPS, XPU and NPU: "CUDA out of memory. Tried to allocate 2 GiB", "CUDA error: out of memory"
    rf"(?<!if you run )(?<!avoid )(?<!prevent )\bout of {_MEMORY}",
    # Level Zero, Vulkan, CUDA's driver; Metal and HIP; DirectX
    r"out_of_(?:device_|host_)?memory\b|error_?OutOf(?:Device|Host)?Memory\b|\bE_OUTOFMEMORY\b|\b0x8007000E\b",
    # .NET, and a class that a text quotes; in quotation marks it is the name of what is missing
    r"(?<!')\bOutOfMemory(?:Error|Exception)\b(?!')",
    # SYCL and OpenCL on Intel's GPUs. Triton's and CUDA's "out of resources" is about a kernel's registers
    r"\b(?:UR_RESULT_ERROR|PI_ERROR|CL)_OUT_OF_RESOURCES\b|_MEM_OBJECT_ALLOCATION_FAILURE\b",
    # cuBLAS, cuDNN, cuFFT, cuSOLVER and their HIP counterparts
    r"_ALLOC(?:ATION)?_FAILED\b|ErrorMemoryAllocation\b",
    # torch with cudaMallocAsync
    r"\bwould exceed allowed memory\b|^allocation on device\b",
    # DirectML, torch's DefaultCPUAllocator, ComfyUI's attention, Metal, OpenCV
    rf"\b(?:not enough|insufficient|not have enough|no more|no (?=available|free)) ?{_MEMORY}(?! bandwidth)",
    rf"(?<!avoid )\b{_MEMORY} (?:is |was )?exhausted\b|\bexhausted (?:all )?{_MEMORY}",
    # Linux, numpy, onnxruntime, ggml. "in static TLS block" is a library that was loaded too late
    (
        r"\b(?:can ?not|can't|could not|unable to|failed to) allocate "
        r"(?:memory(?! in static TLS)|(?:array|tensor) with|request for|(?:\w+ )?buffer\b|"
        r"[\d.]+ ?(?:bytes|[KMGT]i?B?)\b)"
    ),
    # A tensor that is larger than Metal's largest buffer
    r"\binvalid buffer size: [\d.]+ ?[GT]i?B\b",
    # onnxruntime's arena
    r"\bis smaller than requested bytes of\b",
    # C++, TensorFlow
    r"\bbad[_ ]alloc(?:ation)?\b|\bOOM when allocating\b|\bmemory allocation (?:failed|failure)\b",
    # Windows: ERROR_COMMITMENT_LIMIT, ERROR_NOT_ENOUGH_MEMORY, ERROR_OUTOFMEMORY, ERROR_NO_SYSTEM_RESOURCES
    r"\bpaging file is too small\b|页面文件太小|\bos ?error 1455\b|\bwinerror (?:8|14|1450|1455)\b",
    r"\bnot enough storage is available to\b",
    # ENOMEM
    r"\[errno 12\]|\bos error 12\b|\berror code 12\b",
    # Plug-ins whose texts are Chinese
    r"(?:显存|内存)(?:资源)?(?:已经?)?(?:不足|不够|溢出|耗尽|用完|用尽|占满|爆|满)|爆(?:显存|内存)",
)
_TEXT = re.compile("|".join(_TEXTS), re.IGNORECASE)


def is_out_of_memory(exception_type: str, text: str) -> bool:
    """Return whether an exception of this class, with this text on one line, is for lack of memory."""
    return _CLASS.search(exception_type) is not None or _TEXT.search(text) is not None
