"""A namespace of mounts for the processes of a test run."""

import ctypes
import subprocess

CLONE_NEWNS = 0x00020000  # linux/sched.h


def have_mounts_of_our_own() -> None:
    """Let the file systems that this process mounts be seen by it and by its children only.

    They are gone when the last of these processes has ended, however it ended. Otherwise pytest
    would fail to delete the directory of an interrupted run at the end of a later one. Does
    nothing without the right to mount (mount_namespaces(7)).
    """
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNS) == 0:
        subprocess.run(["mount", "--make-rprivate", "/"], check=True)
