"""The C library's memory between steps: kept, in place of given back and asked for again in every step."""

from __future__ import annotations

import ctypes

__all__ = ["keep_memory"]

_TRIM, _TOP, _MAP = -1, -2, -3  # glibc's M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD
_NEVER = 2**31 - 1
_PAD = 64 * 2**20
_LARGEST = 32 * 2**20 - 1  # glibc takes no larger threshold; what is larger is mapped anew each time


def keep_memory() -> bool:
    """Tell the C library to keep freed memory of the process; return whether it could be told.

    A step frees and asks for the same blocks of megabytes again and again. glibc gives them back to the system, which
    fills each page with zeros before it hands it out: a third of the time of some steps. From here on the process
    keeps what it once needed, up to its largest need. Other C libraries are left as they are.
    """
    try:
        told = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):
        return False
    told.argtypes, told.restype = (ctypes.c_int, ctypes.c_int), ctypes.c_int
    return all(told(name, value) == 1 for name, value in ((_MAP, _LARGEST), (_TRIM, _NEVER), (_TOP, _PAD)))
