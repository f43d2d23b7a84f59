"""How the C library (glibc) keeps freed memory, and when it returns it to the kernel."""

import ctypes

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8  # of malloc.h
_MAX_KEPT = 16 << 20
_MAX_KEPT_BLOCK = 4 << 20
_library = ctypes.CDLL(None)
_malloc_trim = getattr(_library, "malloc_trim", None)
_mallopt = getattr(_library, "mallopt", None)


def keep_freed_memory() -> None:
    """Let all threads share one heap, which keeps what is freed until `trim_heap` (mallopt(3)).

    By itself glibc gives the buffers of a large body back as soon as they are freed, and the kernel
    has to clear each page of them again for the next body. It also has a heap for each thread, and
    the next body is usually received by another one. The heap keeps up to 16 MiB at its end. Blocks
    of more than 4 MiB are given back at once.

    This must be called before the first thread is started. It does nothing where the C library has
    no mallopt.
    """
    if _mallopt:
        _mallopt(_M_ARENA_MAX, 1)
        _mallopt(_M_TRIM_THRESHOLD, _MAX_KEPT)
        _mallopt(_M_MMAP_THRESHOLD, _MAX_KEPT_BLOCK)


def trim_heap() -> None:
    """Return all free pages of the heap to the kernel (malloc_trim(3)).

    By itself glibc returns only free pages at the end of the heap. Large blocks are allocated there
    as soon as one of them has been freed, and anything small that lies behind them keeps them all.

    Does nothing where the C library has no malloc_trim.
    """
    if _malloc_trim:
        _malloc_trim(ctypes.c_size_t(0))
