# SPDX-License-Identifier: MIT
"""What of libpeal is called, as ctypes knows it. Each call gives up the interpreter's lock."""
import ctypes
import math
import os
import time
from errno import EAGAIN, ETIMEDOUT
from ctypes import (POINTER, byref, c_char_p, c_int, c_int32, c_size_t, c_ubyte, c_uint,
                    c_uint16, c_uint32, c_uint64, c_ulong, c_void_p)

TRY, FOREVER = 0, (1 << 64) - 1
POLL_MAX = (1 << 31) - 1  # milliseconds
# Answers and no failures: the library has no sentence for them.
AGAIN = (-EAGAIN, -ETIMEDOUT)


class ChannelOptions(ctypes.Structure):
    _fields_ = [('size', c_size_t), ('to_guest', c_uint64), ('to_host', c_uint64), ('align', c_uint32),
                ('doorbell', c_uint32), ('flags', c_uint32), ('spin_max_us', c_int32),
                ('name', c_char_p)]


class AttachOptions(ctypes.Structure):
    _fields_ = [('size', c_size_t), ('flags', c_uint32), ('spin_max_us', c_int32)]


class Rlimit(ctypes.Structure):
    _fields_ = [('resource', c_int), ('soft', c_ulong), ('hard', c_ulong)]


class SpawnOptions(ctypes.Structure):
    _fields_ = [('size', c_size_t), ('flags', c_uint), ('envp', POINTER(c_char_p)),
                ('rlimits', POINTER(Rlimit)), ('rlimit_count', c_size_t), ('pre_exec', c_void_p),
                ('pre_exec_data', c_void_p)]


class ChildStatus(ctypes.Structure):
    _fields_ = [('state', c_int), ('value', c_int)]


class Record(ctypes.Structure):
    _fields_ = [('data', c_void_p), ('size', c_uint32), ('type', c_uint16), ('end', c_uint64)]


class RingStats(ctypes.Structure):
    _fields_ = [(name, c_uint64) for name in ('capacity', 'position', 'sleeps', 'wakes', 'spurious')]


class SideStats(ctypes.Structure):
    _fields_ = [('tx', RingStats), ('rx', RingStats)]


def _functions():
    handle, answer = c_void_p, POINTER(c_void_p)
    return {
        'peal_strerror': (c_char_p, c_int),
        'peal_last_error': (c_char_p,),
        'peal_deadline_in_ns': (c_uint64, c_uint64),
        'peal_channel_create': (c_int, answer, POINTER(ChannelOptions)),
        'peal_channel_close': (c_void_p, handle),
        'peal_channel_peer': (c_int, handle),
        'peal_channel_peer_fd': (c_int, handle),
        'peal_channel_stats': (None, handle, POINTER(SideStats), POINTER(SideStats)),
        'peal_attach_args': (c_int, answer, POINTER(c_int), POINTER(c_char_p), POINTER(AttachOptions)),
        'peal_tx': (handle, handle),
        'peal_rx': (handle, handle),
        'peal_tx_fd': (c_int, handle),
        'peal_rx_fd': (c_int, handle),
        'peal_spawn': (c_int, answer, handle, POINTER(c_char_p), POINTER(SpawnOptions)),
        'peal_child_wait_ready': (c_int, handle, handle, c_uint64),
        'peal_child_pid': (c_int, handle),
        'peal_child_pidfd': (c_int, handle),
        'peal_child_wait': (c_int, handle, c_uint64, POINTER(ChildStatus)),
        'peal_child_kill': (c_int, handle, c_int),
        'peal_child_describe': (c_char_p, handle, c_char_p, c_size_t),
        'peal_child_free': (c_void_p, handle),
        'peal_reserve_wait': (c_int, handle, c_size_t, answer, c_uint64),
        'peal_commit': (c_int, handle, c_size_t, c_uint16),
        'peal_stage': (c_int, handle, c_size_t, c_uint16),
        'peal_publish': (c_int, handle),
        'peal_abort': (None, handle),
        'peal_send': (c_int, handle, c_void_p, c_size_t, c_uint16, c_uint64),
        'peal_record_max': (c_size_t, handle),
        'peal_next': (c_int, handle, POINTER(Record)),
        'peal_next_wait': (c_int, handle, POINTER(Record), c_uint64),
        'peal_release': (c_int, handle),
        'peal_arm_data': (c_int, handle),
        'peal_disarm_data': (c_int, handle),
        'peal_arm_space': (c_int, handle, c_size_t),
        'peal_disarm_space': (c_int, handle),
    }


def _load():
    # The name with which the linker finds the installed one; a build tree says where its own is.
    library = ctypes.CDLL(os.environ.get('PEAL_LIBRARY', 'libpeal.so.0'))
    for name, (result, *arguments) in _functions().items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


lib = _load()


def check(rc, answers=AGAIN):
    """A negative errno becomes the OSError of its kind: BrokenPipeError, TimeoutError, …"""
    if rc >= 0:
        return rc
    text = lib.peal_strerror(rc).decode()
    if rc not in answers:
        text = lib.peal_last_error().decode(errors='replace') or text
    raise OSError(-rc, text)


def seconds(timeout):
    """None is for ever, as infinity; what is over before it begins is 0, a look."""
    if timeout is None or timeout == math.inf:
        return None
    if math.isnan(timeout):
        raise ValueError('a timeout is no number')
    return max(timeout, 0)


def deadline(timeout):
    """From seconds(); None is for ever, 0 not at all."""
    if timeout is None:
        return FOREVER
    return lib.peal_deadline_in_ns(min(int(timeout * 1e9), FOREVER >> 1)) if timeout > 0 else TRY


def poll_until(poll, end):
    """Whether something came before END, of time.monotonic(); None is for ever."""
    while True:
        left = None if end is None else max(end - time.monotonic(), 0) * 1000
        if poll.poll(None if left is None else min(left, POLL_MAX)):
            return True
        if left is not None and left <= POLL_MAX:
            return False


def number(name, value, bits):
    """ctypes would cut off what does not fit."""
    if not 0 <= value < 1 << bits:
        raise ValueError(f'{name} is {value}; expected 0 to {(1 << bits) - 1}')
    return value


def words(strings):
    """A NULL-terminated array of C strings."""
    encoded = [string(each) for each in strings]
    return (c_char_p * (len(encoded) + 1))(*encoded, None)


def string(text):
    """C would take what comes before a NUL for all of it."""
    encoded = os.fsencode(text)
    if b'\0' in encoded:
        raise ValueError(f'{text!r} contains a NUL byte')
    return encoded


__all__ = ['lib', 'check', 'seconds', 'deadline', 'poll_until', 'number', 'words', 'string', 'byref', 'c_ubyte',
           'c_void_p', 'c_int', 'TRY', 'AGAIN', 'ETIMEDOUT', 'ChannelOptions', 'AttachOptions', 'Rlimit', 'SpawnOptions', 'ChildStatus', 'Record', 'SideStats']
