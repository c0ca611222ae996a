"""A process that locks itself up, by Linux's Landlock and seccomp, before it runs a module: what decodes foreign files.

    python -P -m camera_nano.sandbox MEMORY_BYTES MODULE ARGUMENT ...

It must do so first of all: both hold for the thread that asks and those it starts, and libraries start threads as they
are imported. So this module imports nothing but the standard library. The module gets one more argument, the walls that
stand, in JSON. Where the kernel lacks one the others still stand: each is best effort, and `camera-nano doctor` tells.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import json
import os
import platform
import resource
import runpy
import struct
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple


class Wall(NamedTuple):
    """What holds a process in. `detail` says what it does, or why it does not stand and how to mend that."""

    name: str
    stands: bool
    detail: str


_LIBRARIES_BYTES = 512 << 20  # of data that an idle child has
_MOST_FILES = 256  # open at a time
_NO_NEW_PRIVS, _SET_SECCOMP, _MODE_FILTER = 38, 22, 2  # prctl(2)

# Landlock (the kernel's Documentation/userspace-api/landlock.rst)
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # system calls, the same on every architecture
_ASK_VERSION, _PATH_BENEATH = 1, 1
_READ_FILE, _READ_DIR = 1 << 2, 1 << 3
_N_FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15}  # by version; all are taken away that the kernel knows
_NO_TCP, _NO_SIGNALS_OR_ABSTRACT_SOCKETS = 0b11, 0b11
_LIBRARIES = (
    "/lib",
    "/lib64",
    "/usr/lib",
    "/usr/lib64",
    "/usr/local/lib",
    "/nix/store",
    "/gnu/store",
    "/etc/ld.so.cache",
)
_ASKED = (
    "/etc/ld.so.cache",
    "/proc/self",
    "/proc/stat",
    "/proc/meminfo",
    "/proc/cpuinfo",
    "/sys/devices/system",
    "/sys/fs/cgroup",
)
_DEVICES = ("/dev/null", "/dev/zero", "/dev/urandom")

# seccomp (seccomp(2)): the names of system calls that are refused, with their numbers on x86-64 and on aarch64
_AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_REFUSED = """
socket 41 198, connect 42 203, accept 43 202, accept4 288 242, bind 49 200, listen 50 201, socketpair 53 199,
execve 59 221, execveat 322 281, fork 57 -, vfork 58 -,
ptrace 101 117, process_vm_readv 310 270, process_vm_writev 311 271, process_madvise 440 440, kcmp 312 272,
pidfd_open 434 434, pidfd_getfd 438 438, pidfd_send_signal 424 424, tkill 200 130, rt_sigqueueinfo 129 138,
rt_tgsigqueueinfo 297 240, bpf 321 280, perf_event_open 298 241, userfaultfd 323 282, io_uring_setup 425 425,
io_uring_enter 426 426, io_uring_register 427 427, add_key 248 217, request_key 249 218, keyctl 250 219,
mount 165 40, umount2 166 39, pivot_root 155 41, chroot 161 51, move_mount 429 429, open_tree 428 428, fsopen 430 430,
fsconfig 431 431, fsmount 432 432, fspick 433 433, mount_setattr 442 442, unshare 272 97, setns 308 268,
name_to_handle_at 303 264, open_by_handle_at 304 265, init_module 175 105, finit_module 313 273, delete_module 176 106,
kexec_load 246 104, kexec_file_load 320 294, reboot 169 142, swapon 167 224, swapoff 168 225, acct 163 89,
quotactl 179 60, quotactl_fd 443 443, settimeofday 164 170, clock_settime 227 112, adjtimex 159 171,
clock_adjtime 305 266, sethostname 170 161, setdomainname 171 162, syslog 103 116, personality 135 92, iopl 172 -,
ioperm 173 -, modify_ldt 154 -, shmget 29 194, shmat 30 196, shmctl 31 195, semget 64 190, semctl 66 191,
msgget 68 186, msgsnd 69 189, msgrcv 70 188, msgctl 71 187, mq_open 240 180, mq_unlink 241 181, setrlimit 160 164,
creat 85 -, unlink 87 -, unlinkat 263 35, rename 82 -, renameat 264 38, renameat2 316 276, mkdir 83 -, mkdirat 258 34,
rmdir 84 -, mknod 133 -, mknodat 259 33, link 86 -, linkat 265 37, symlink 88 -, symlinkat 266 36, truncate 76 45,
chmod 90 -, fchmod 91 52, fchmodat 268 53, chown 92 -, lchown 94 -, fchown 93 55, fchownat 260 54, utime 132 -,
utimes 235 -, futimesat 261 -, utimensat 280 88, setxattr 188 5, lsetxattr 189 6, fsetxattr 190 7, removexattr 197 14,
lremovexattr 198 15, fremovexattr 199 16, inotify_init 253 -, inotify_init1 294 26, fanotify_init 300 262
"""
_DEPENDS = "open 2 -, openat 257 56, openat2 437 437, clone 56 220, clone3 435 435, kill 62 129, tgkill 234 131, "
_DEPENDS += "prlimit64 302 261, ioctl 16 29"
_LAST_KNOWN = 450  # newer calls, whose meaning is not known here, count as not there
_OPENS_TO_WRITE = 0o3 | 0o100 | 0o1000 | 0o20000000  # O_ACCMODE, O_CREAT, O_TRUNC, O_TMPFILE
_CLONE_THREAD = 0x10000
_IOCTLS = (0x5401, 0x5421, 0x5450, 0x5451)  # TCGETS, FIONBIO, FIONCLEX, FIOCLEX
_LOAD, _EQUAL, _GREATER, _BITS, _RETURN = 0x20, 0x15, 0x25, 0x45, 0x06  # classic BPF, as in linux/bpf_common.h
_ALLOW, _ERRNO, _KILL = 0x7FFF0000, 0x00050000, 0x80000000
_NUMBER, _ARCH = 0, 4  # places in struct seccomp_data


def lock_up(memory_bytes: int) -> list[Wall]:
    """Lock up this process, which must have one thread, for good. Its data may take `memory_bytes` beside libraries."""
    with contextlib.suppress(OSError):  # if the system runs out of memory, it ends this process first
        Path("/proc/self/oom_score_adj").write_text("1000")
    for limit, most in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, _MOST_FILES),
        (resource.RLIMIT_DATA, memory_bytes + _LIBRARIES_BYTES),
        (resource.RLIMIT_FSIZE, memory_bytes),  # of files in memory: others cannot be written
    ):
        hard = resource.getrlimit(limit)[1]
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(limit, (most, most))
    return [_stands("files", _forbid_files), _stands("calls", _forbid_calls)]


def _stands(name: str, build: Callable[[], str]) -> Wall:
    try:
        return Wall(name, True, build())
    except OSError as error:
        return Wall(name, False, str(error.strerror))


def _call(function: str, *arguments: int) -> int:
    """A function of the C library. Raises OSError."""
    done: int = ctypes.CDLL(None, use_errno=True)[function](*map(ctypes.c_long, arguments))
    if done < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return done


def _forbid_files() -> str:
    try:
        version = _call("syscall", _CREATE_RULESET, 0, 0, _ASK_VERSION)
    except OSError as error:
        text = "the decoder could read and send files: this kernel has no Landlock. It needs Linux 5.13 or later"
        raise OSError(error.errno, f"{text}, and landlock among lsm= on its command line") from error
    rights = (1 << _N_FILE_RIGHTS.get(version, 16)) - 1
    asked = struct.pack("=3Q", rights, _NO_TCP, _NO_SIGNALS_OR_ABSTRACT_SOCKETS)
    asked = asked[: 8 if version < 4 else 16 if version < 6 else 24]
    memory = ctypes.create_string_buffer(asked, len(asked))
    rules = _call("syscall", _CREATE_RULESET, ctypes.addressof(memory), len(asked), 0)
    for path in _readable():
        with contextlib.suppress(FileNotFoundError, NotADirectoryError, PermissionError):
            _let_read(rules, path)
    _call("prctl", _NO_NEW_PRIVS, 1, 0, 0, 0)
    _call("syscall", _RESTRICT_SELF, rules, 0)
    os.close(rules)
    return f"the decoder reads its libraries and the photo, and writes nothing (Landlock, version {version})"


def _readable() -> list[str]:
    """Where libraries are. A folder on Python's path that holds the current one, or people's homes, is not among it."""
    others = [Path(os.environ.get("HOME", "/"))]
    with contextlib.suppress(FileNotFoundError):  # it was removed
        others.append(Path.cwd())
    on_path = [p for p in (*sys.path, *os.environ.get("LD_LIBRARY_PATH", "").split(os.pathsep)) if p]
    kept = [p for p in on_path if not any(other.is_relative_to(p) for other in others)]
    return [*_LIBRARIES, *_ASKED, *_DEVICES, sys.prefix, sys.base_prefix, str(Path(__file__).parent), *kept]


def _let_read(rules: int, path: str) -> None:
    beneath = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        rights = _READ_FILE | (_READ_DIR if Path(path).is_dir() else 0)
        rule = ctypes.create_string_buffer(struct.pack("=Qi", rights, beneath), 12)
        _call("syscall", _ADD_RULE, rules, _PATH_BENEATH, ctypes.addressof(rule), 0)
    finally:
        os.close(beneath)


def _forbid_calls() -> str:
    machine = platform.machine()
    if machine not in _AUDIT_ARCH:
        raise OSError(errno.ENOSYS, f"the decoder could use the network: what to refuse on {machine} is not known here")
    program = b"".join(struct.pack("=HBBI", *step) for step in _filter(machine, os.getpid()))
    memory = ctypes.create_string_buffer(program, len(program))
    header = ctypes.create_string_buffer(struct.pack("@HP", len(program) // 8, ctypes.addressof(memory)))
    _call("prctl", _NO_NEW_PRIVS, 1, 0, 0, 0)
    try:
        _call("prctl", _SET_SECCOMP, _MODE_FILTER, ctypes.addressof(header), 0, 0)
    except OSError as error:
        text = "the decoder could use the network: this kernel or container allows no seccomp filter"
        raise OSError(error.errno, f"{text}. It needs CONFIG_SECCOMP_FILTER") from error
    return "the decoder opens no connection, starts no program and signals no other (seccomp)"


_Step = tuple[int, int, int, int]  # code, steps to skip if true, steps to skip if false, operand


def _filter(machine: str, pid: int) -> list[_Step]:
    """The BPF program: what is refused, the calls that depend on their arguments, and then all else is allowed."""
    numbers = dict(_numbers(_DEPENDS, machine))
    refuse, absent = (_RETURN, 0, 0, _ERRNO | errno.EPERM), (_RETURN, 0, 0, _ERRNO | errno.ENOSYS)
    allow, no_device = (_RETURN, 0, 0, _ALLOW), (_RETURN, 0, 0, _ERRNO | errno.ENOTTY)
    steps: list[_Step] = [(_LOAD, 0, 0, _ARCH), (_EQUAL, 1, 0, _AUDIT_ARCH[machine]), (_RETURN, 0, 0, _KILL)]
    steps += [(_LOAD, 0, 0, _NUMBER), (_GREATER, 0, 1, _LAST_KNOWN), absent]
    for _, number in _numbers(_REFUSED, machine):
        steps += [(_EQUAL, 0, 1, number), refuse]
    to_write = [(_BITS, 0, 1, _OPENS_TO_WRITE), refuse, allow]
    own = [(_EQUAL, 1, 0, pid), refuse, allow]
    for name, body in {
        "open": [_low(1), *to_write],
        "openat": [_low(2), *to_write],
        "openat2": [absent],  # its arguments are in memory, where a filter cannot look: callers then use the older one
        "clone3": [absent],
        "clone": [_low(0), (_BITS, 1, 0, _CLONE_THREAD), refuse, allow],
        "kill": [_low(0), *own],
        "tgkill": [_low(0), *own],
        "prlimit64": [_low(2), (_EQUAL, 0, 2, 0), _high(2), (_EQUAL, 1, 0, 0), refuse, allow],  # a new limit
        "ioctl": [_low(1), *((_EQUAL, len(_IOCTLS) - k, 0, code) for k, code in enumerate(_IOCTLS)), no_device, allow],
    }.items():
        if name in numbers:
            steps += [(_EQUAL, 0, len(body), numbers[name]), *body]
    return [*steps, allow]


def _numbers(table: str, machine: str) -> Iterator[tuple[str, int]]:
    for entry in table.split(","):
        name, *numbers = entry.split()
        number = numbers[list(_AUDIT_ARCH).index(machine)]
        if number != "-":
            yield name, int(number)


def _low(argument: int) -> _Step:
    """Load the low half of an argument; both architectures are little-endian."""
    return _LOAD, 0, 0, 16 + 8 * argument


def _high(argument: int) -> _Step:
    return _LOAD, 0, 0, 20 + 8 * argument


if __name__ == "__main__":
    memory, module, *arguments = sys.argv[1:]
    sys.argv = [module, *arguments, json.dumps(lock_up(int(memory)))]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
