"""Becomes another program that ends when its parent does: `tether.py SIGNAL PARENT USER FILES -- COMMAND…`.

Run as a script in the child, between fork and exec, with nothing but the standard library: the kernel then sends SIGNAL
to the program once the process PARENT is gone, however that came about. USER ("" for none) is who root hands the
program to; FILES is "any" where that user must go through folders that are closed to it.
"""

import ctypes
import os
import pwd
import signal
import sys

PR_SET_PDEATHSIG = 1
PR_SET_SECUREBITS = 28
PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE = 47, 2
SECBIT_NO_SETUID_FIXUP = 1 << 2
CAP_DAC_OVERRIDE = 1
CAPABILITY_VERSION_3 = 0x20080522


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Sets(ctypes.Structure):
    _fields_ = (("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32))


def _call(function: str, *arguments: object) -> None:
    if getattr(ctypes.CDLL(None, use_errno=True), function)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{function}: {os.strerror(number)}")


def become(user: str, *, any_file: bool) -> None:
    """Gives up root for `user`. With `any_file` it keeps root's way past file permissions, and nothing else of it."""
    entry = pwd.getpwnam(user)
    if any_file:  # access() looks at the real user's capabilities only with this bit
        _call("prctl", PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP, 0, 0, 0)
    os.setgroups([])
    os.setgid(entry.pw_gid)
    os.setuid(entry.pw_uid)
    if any_file:
        sets = (_Sets * 2)()
        sets[0] = _Sets(1 << CAP_DAC_OVERRIDE, 1 << CAP_DAC_OVERRIDE, 1 << CAP_DAC_OVERRIDE)
        _call("capset", ctypes.byref(_Header(CAPABILITY_VERSION_3, 0)), sets)
        _call("prctl", PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_DAC_OVERRIDE, 0, 0)


def end_with_parent(number: int = signal.SIGTERM) -> None:
    """Has the kernel send this process the signal once its parent is gone. Only Linux can."""
    if sys.platform == "linux":
        _call("prctl", PR_SET_PDEATHSIG, int(number), 0, 0, 0)


def main() -> None:
    death_signal, parent, user, files, _, *command = sys.argv[1:]
    if user:
        become(user, any_file=files == "any")
    end_with_parent(int(death_signal))  # after the change of user, which would clear it
    if os.getppid() != int(parent):  # it died before the kernel knew
        os.kill(os.getpid(), signal.SIGKILL)
    os.execv(command[0], command)  # noqa: S606  (replacing itself is all this program does)


if __name__ == "__main__":
    main()
