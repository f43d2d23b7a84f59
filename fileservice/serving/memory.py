"""Returns freed memory to the kernel."""

import ctypes

_malloc_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)


def trim_heap() -> None:
    """Return all free pages of the heap to the kernel (malloc_trim(3)).

    By itself glibc returns only free pages at the end of the heap. Large blocks are allocated there
    as soon as one of them has been freed, and anything small that lies behind them keeps them all.

    Does nothing where the C library has no malloc_trim.
    """
    if _malloc_trim:
        _malloc_trim(ctypes.c_size_t(0))
