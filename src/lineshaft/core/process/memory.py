"""Memory that is free inside a process and still counted as its own."""

import ctypes
import gc
import sys


def give_back() -> None:
    """Return to the system what loading has left behind.

    Where Python may not keep compiled files it compiles whatever it imports, and the C
    library keeps that memory: 43 MB in a collector that speaks OPC UA. Only the GNU C
    library has a call for it; elsewhere nothing is done.
    """
    gc.collect()
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)
