"""A process gives up, for ever, all that evaluating an expression does not need. Linux only."""

from __future__ import annotations

import ctypes
import platform
import resource
import signal
import struct
from pathlib import Path

IN_USE_MAX = 256 * 1024 * 1024  # ten times what a worker has
_PR_SET_PDEATHSIG, _PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS, _PR_SET_DUMPABLE = 1, 22, 38, 4
_SECCOMP_MODE_FILTER = 2
_ALLOW, _REFUSE = 0x7FFF0000, 0x00050000 | 1  # the call fails with EPERM
# What may be called, by its number on x86_64 and on aarch64 (-1: not there): no file, socket, process or signal.
_CALLS = {
    "read": (0, 63),
    "write": (1, 64),
    "close": (3, 57),
    "fstat": (5, 80),
    "lseek": (8, 62),
    "poll": (7, -1),
    "ppoll": (271, 73),
    "mmap": (9, 222),
    "mprotect": (10, 226),
    "munmap": (11, 215),
    "mremap": (25, 216),
    "madvise": (28, 233),
    "brk": (12, 214),
    "rt_sigaction": (13, 134),
    "rt_sigprocmask": (14, 135),
    "rt_sigreturn": (15, 139),
    "sigaltstack": (131, 132),
    "setitimer": (38, 103),
    "getitimer": (36, 102),
    "nanosleep": (35, 101),
    "clock_nanosleep": (230, 115),
    "clock_gettime": (228, 113),
    "gettimeofday": (96, 169),
    "getpid": (39, 172),
    "gettid": (186, 178),
    "getrusage": (98, 165),
    "getrandom": (318, 278),
    "futex": (202, 98),
    "sched_yield": (24, 124),
    "membarrier": (324, 283),
    "rseq": (334, 293),
    "restart_syscall": (219, 128),
    "exit": (60, 93),
    "exit_group": (231, 94),
}
_ARCHITECTURES = {"x86_64": (0xC000003E, 0), "aarch64": (0xC00000B7, 1)}  # linux/audit.h


def confine(memory_bytes: int, cpu_s: int) -> bool:
    """Memory over what is in use now, CPU time over the whole life. Whether the kernel filters calls as well."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)  # nobody outlives the service
    libc.prctl(_PR_SET_DUMPABLE, 0)
    in_use = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    if in_use > IN_USE_MAX:
        raise MemoryError(
            f"{in_use >> 20} MiB of address space at the start: something sets it aside, and defeats the limit"
        )
    for limit, value in (
        (resource.RLIMIT_AS, in_use + memory_bytes),
        (resource.RLIMIT_CPU, cpu_s),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NPROC, 0),
        (resource.RLIMIT_NOFILE, 0),  # those that are open stay so
    ):
        resource.setrlimit(limit, (value, value))
    return _filter_calls(libc)


def _filter_calls(libc: ctypes.CDLL) -> bool:
    """seccomp(2): a program of the kernel's that lets the known calls through and refuses all others."""
    if platform.machine() not in _ARCHITECTURES:
        return False
    architecture, column = _ARCHITECTURES[platform.machine()]
    numbers = [call[column] for call in _CALLS.values() if call[column] >= 0]
    code = [_load(4), _skip_unless(architecture, 0, len(numbers) + 1), _load(0)]
    code += [_skip_unless(number, len(numbers) - at, 0) for at, number in enumerate(numbers)]
    code += [_give(_REFUSE), _give(_ALLOW)]
    program = ctypes.create_string_buffer(b"".join(code))
    header = struct.pack("HxxxxxxP", len(code), ctypes.addressof(program))
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
        return False
    return bool(libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.c_char_p(header), 0, 0) == 0)


def _load(offset: int) -> bytes:
    return struct.pack("HBBI", 0x20, 0, 0, offset)


def _skip_unless(value: int, when_equal: int, otherwise: int) -> bytes:
    return struct.pack("HBBI", 0x15, when_equal, otherwise, value)


def _give(action: int) -> bytes:
    return struct.pack("HBBI", 0x06, 0, 0, action)
