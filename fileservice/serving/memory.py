"""What a process has freed, it does not keep."""

import ctypes

_malloc_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)


def give_back_what_is_freed() -> None:
    """Return all free pages to the kernel, also those that lie between others (malloc_trim(3)).

    By itself, glibc returns only the end of its heap, and large blocks come from there as soon as
    one of them has been freed: anything small that lies behind them keeps all of them.

    Does nothing where the C library has no malloc_trim.
    """
    if _malloc_trim:
        _malloc_trim(ctypes.c_size_t(0))
