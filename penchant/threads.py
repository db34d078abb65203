"""Threads that give way: item texts are read and indexes built only with the time that answers leave over."""

from __future__ import annotations

import os
import threading

_NICE = 15


def lower_priority() -> None:
    """Lower the calling thread's share of the processor; on Linux a nice value belongs to the thread alone."""
    if hasattr(os, "setpriority"):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)
