"""A seccomp filter that refuses system calls a decoder has no need of: network, programs, other processes.

Written as BPF by hand, since no library is at hand that does it. Refused calls fail with EPERM, so that a
library that merely asks goes on; calls newer than the table fail with ENOSYS, as on an older kernel.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
import sys
from functools import cache

_PR_SET_SECCOMP, _MODE_FILTER = 22, 2
_CLONE_THREAD = 0x10000
_NEWEST = 462

# Name, number on x86_64, number on aarch64 ("-": not there).
_REFUSED = """
socket 41 198|socketpair 53 199|connect 42 203|bind 49 200|listen 50 201|accept 43 202|accept4 288 242
sendto 44 206|sendmsg 46 211|sendmmsg 307 269|recvfrom 45 207|recvmsg 47 212|recvmmsg 299 243
rt_sigqueueinfo 129 138|rt_tgsigqueueinfo 297 240|tkill 200 130
pidfd_open 434 434|pidfd_getfd 438 438|pidfd_send_signal 424 424
ptrace 101 117|process_vm_readv 310 270|process_vm_writev 311 271|process_madvise 440 440
process_mrelease 448 448|kcmp 312 272|setrlimit 160 164
io_uring_setup 425 425|io_uring_enter 426 426|io_uring_register 427 427|userfaultfd 323 282|bpf 321 280
perf_event_open 298 241|mount 165 40|umount2 166 39|pivot_root 155 41|chroot 161 51|setns 308 268
unshare 272 97|move_mount 429 429|open_tree 428 428|fsopen 430 430|fsconfig 431 431|fsmount 432 432
fspick 433 433|mount_setattr 442 442|name_to_handle_at 303 264|open_by_handle_at 304 265
fanotify_init 300 262|fanotify_mark 301 263|keyctl 250 219|add_key 248 217|request_key 249 218
init_module 175 105|finit_module 313 273|delete_module 176 106|kexec_load 246 104|kexec_file_load 320 294
reboot 169 142|swapon 167 224|swapoff 168 225|sethostname 170 161|setdomainname 171 162|iopl 172 -
ioperm 173 -|modify_ldt 154 -|acct 163 89|quotactl 179 60|quotactl_fd 443 443|syslog 103 116
settimeofday 164 170|clock_settime 227 112|adjtimex 159 171|clock_adjtime 305 266|personality 135 92
vhangup 153 58|setuid 105 146|setgid 106 144|setreuid 113 145|setregid 114 143|setresuid 117 147
setresgid 119 149|setgroups 116 159|setfsuid 122 151|setfsgid 123 152|capset 126 91
memfd_create 319 279|memfd_secret 447 447|chmod 90 -|fchmod 91 52|fchmodat 268 53|fchmodat2 452 452
chown 92 -|fchown 93 55|lchown 94 -|fchownat 260 54|setxattr 188 5|lsetxattr 189 6|fsetxattr 190 7
removexattr 197 14|lremovexattr 198 15|fremovexattr 199 16|symlink 88 -|symlinkat 266 36|link 86 -
linkat 265 37|mknod 133 -|mknodat 259 33|truncate 76 45|utime 132 -|utimes 235 -|futimesat 261 -
utimensat 280 88|shmget 29 194|shmat 30 196|shmctl 31 195|semget 64 190|semctl 66 191|semop 65 193
semtimedop 220 192|msgget 68 186|msgsnd 69 189|msgrcv 70 188|msgctl 71 187|mq_open 240 180|mq_unlink 241 181
migrate_pages 256 238|move_pages 279 239
"""
# Refused too, unless programs may be started.
_PROGRAMS = "execve 59 221|execveat 322 281|fork 57 -|vfork 58 -|setsid 112 157|setpgid 109 154"
# Allowed for some arguments only.
_KILL, _TGKILL, _CLONE, _CLONE3, _PRLIMIT = (62, 129), (234, 131), (56, 220), (435, 435), (302, 261)

# (AUDIT_ARCH_…, column of the tables)
_ARCHITECTURES = {"x86_64": (0xC000003E, 0), "aarch64": (0xC00000B7, 1)}

# BPF: load a word of the call's description; jump if equal, greater, any bit set; return.
_LOAD, _EQUAL, _GREATER, _BITS, _RETURN = 0x20, 0x15, 0x25, 0x45, 0x06
_NUMBER, _ARCH, _ARGUMENT = 0, 4, 16  # offsets; arguments are 8 bytes each, the low word first
_ALLOW, _ERRNO, _KILL_PROCESS = 0x7FFF0000, 0x00050000, 0x80000000

# Stands for the number of the process in a prepared filter; no instruction of it looks like this.
_ANY_PID = b"\xee\xdd\xcc\xbb"

_libc = ctypes.CDLL(None, use_errno=True)


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_void_p))


def restrict(*, programs: bool) -> bool:
    """Put the filter on this process for good; False where this machine has none."""
    code = prepare(programs=programs).replace(_ANY_PID, struct.pack("<I", os.getpid()))
    if not code:
        return False
    buffer = ctypes.create_string_buffer(code, len(code))
    program = _Program(len(code) // 8, ctypes.addressof(buffer))
    return int(_libc.prctl(_PR_SET_SECCOMP, _MODE_FILTER, ctypes.byref(program), 0, 0)) == 0


@cache
def prepare(*, programs: bool) -> bytes:
    """The filter but for the process it is for; empty where this machine has none."""
    architecture = _ARCHITECTURES.get(platform.machine())
    if sys.platform != "linux" or architecture is None or struct.calcsize("P") != 8:
        return b""
    return build(*architecture, programs=programs)


def build(arch: int, column: int, *, programs: bool) -> bytes:
    """The filter's instructions, with _ANY_PID for the process, which may send signals to itself alone."""
    (pid,) = struct.unpack("<I", _ANY_PID)
    code = [
        _step(_LOAD, _ARCH),
        _step(_EQUAL, arch, yes=1),
        _step(_RETURN, _KILL_PROCESS),
        _step(_LOAD, _NUMBER),
        _step(
            _GREATER, _NEWEST, no=1
        ),  # also the 32-bit calls of x86_64, which have a high bit set
        _step(_RETURN, _ERRNO | errno.ENOSYS),
    ]
    refused = _numbers(_REFUSED, column) + ([] if programs else _numbers(_PROGRAMS, column))
    for number in refused:
        code += [_step(_EQUAL, number, no=1), _step(_RETURN, _ERRNO | errno.EPERM)]
    # glibc falls back to clone, whose flags a filter can read.
    code += [_step(_EQUAL, _CLONE3[column], no=1), _step(_RETURN, _ERRNO | errno.ENOSYS)]
    if not programs:
        code += _when(_CLONE[column], [_step(_LOAD, _ARGUMENT), _step(_BITS, _CLONE_THREAD, no=1)])
        code += _when(_KILL[column], [_step(_LOAD, _ARGUMENT), _step(_EQUAL, pid, no=1)])
        code += _when(_TGKILL[column], [_step(_LOAD, _ARGUMENT), _step(_EQUAL, pid, no=1)])
    # Limits may be read, not set: the pointer to new ones (two words) must be null.
    code += _when(
        _PRLIMIT[column],
        [
            _step(_LOAD, _ARGUMENT + 16),
            _step(_EQUAL, 0, no=3),
            _step(_LOAD, _ARGUMENT + 20),
            _step(_EQUAL, 0, no=1),
        ],
    )
    code.append(_step(_RETURN, _ALLOW))
    return b"".join(code)


def _when(number: int, test: list[bytes]) -> list[bytes]:
    """For this call: allow it if the test ends without a jump, else refuse it."""
    verdict = [_step(_RETURN, _ALLOW), _step(_RETURN, _ERRNO | errno.EPERM)]
    return [_step(_EQUAL, number, no=len(test) + 2), *test, *verdict]


def _step(code: int, value: int, *, yes: int = 0, no: int = 0) -> bytes:
    return struct.pack("<HBBI", code, yes, no, value)


def _numbers(table: str, column: int) -> list[int]:
    entries = (
        entry.split() for line in table.split("\n") for entry in line.split("|") if entry.strip()
    )
    return [int(number) for _, *numbers in entries if (number := numbers[column]) != "-"]
