# SPDX-License-Identifier: MIT
"""A kernel that refuses: a seccomp filter around the program under test, as containers have."""
import ctypes
import errno
import os
import platform
import struct

from command import Skip

# From include/uapi/asm-generic/unistd.h, and x86's own table for what is older than that.
_GENERIC = {'clone': 220, 'eventfd2': 19, 'fcntl': 25, 'fdatasync': 83, 'io_uring_enter': 426,
            'io_uring_setup': 425, 'membarrier': 283, 'memfd_create': 279, 'pidfd_open': 434, 'pwrite64': 68,
            'socketpair': 199}
_X86_64 = {**_GENERIC, 'clone': 56, 'eventfd2': 290, 'fcntl': 72, 'fdatasync': 75, 'membarrier': 324,
           'memfd_create': 319, 'pwrite64': 18, 'socketpair': 53}
NUMBERS = {'x86_64': _X86_64, 'aarch64': _GENERIC}.get(platform.machine(), {})

# linux/filter.h, linux/seccomp.h, linux/prctl.h
LOAD, JUMP_IF_EQUAL, JUMP_IF_ANY, RETURN = 0x20, 0x15, 0x45, 0x06
ALLOW, ERRNO = 0x7fff0000, 0x00050000
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2


class _Program(ctypes.Structure):
    _fields_ = [('length', ctypes.c_ushort), ('filter', ctypes.c_void_p)]


def program(*refused):
    """A BPF program. Each of @refused is (call, errno), or (call, errno, bits of an argument, its index).
    With an errno of None the call does nothing, and says that it has."""
    code = []
    for call, error, *bits in refused:
        if call not in NUMBERS:
            raise Skip(f'the number of {call} on {platform.machine()} is not known here')
        code.append((LOAD, 0, 0, 0))
        code.append((JUMP_IF_EQUAL, 0, 3 if bits else 1, NUMBERS[call]))
        if bits:
            code += [(LOAD, 0, 0, 16 + 8 * bits[1]), (JUMP_IF_ANY, 0, 1, bits[0])]
        code.append((RETURN, 0, 0, ERRNO | (getattr(errno, error) if error else 0)))
    code.append((RETURN, 0, 0, ALLOW))
    return b''.join(struct.pack('HBBI', *instruction) for instruction in code)


def refuse(*refused):
    """For preexec_fn: what is started refuses these from then on, and all that it starts."""
    text = program(*refused)
    memory = ctypes.create_string_buffer(text, len(text))
    fprog = _Program(len(text) // 8, ctypes.addressof(memory))
    libc = ctypes.CDLL(None, use_errno=True)

    def install():
        assert memory  # kept alive
        if (libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0
                or libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(fprog), 0, 0) != 0):
            os._exit(99)

    return install
