// SPDX-License-Identifier: MIT
//! The C interface as it is: the contracts stand in the headers, under the same names.
//!
//! Everything that libpeal exports but what only the inline functions of its headers call
//! (`peal_…_cold`, `peal_wake_consumer`, `peal_wake_producer`). tests/install/rust-abi.py holds
//! this file and the installed headers together: each prototype, each struct, each constant.
#![allow(non_camel_case_types, missing_docs)]

use std::os::raw::{c_char, c_int, c_uint, c_void};

macro_rules! opaque {
    ($($name:ident)*) => {$(
        /// Opaque: only ever behind a pointer.
        #[derive(Debug)]
        #[repr(C)]
        pub struct $name {
            _bytes: [u8; 0],
            _neither_send_nor_sync: std::marker::PhantomData<*mut u8>,
        }
    )*};
}
opaque! { peal_channel peal_producer peal_consumer peal_child peal_poller peal_watch }

pub const PEAL_VERSION_MAJOR: u32 = 0;
pub const PEAL_VERSION_MINOR: u32 = 1;
pub const PEAL_VERSION_PATCH: u32 = 0;

pub const PEAL_TRY: u64 = 0;
pub const PEAL_FOREVER: u64 = u64::MAX;

pub const PEAL_CHANNEL_NO_MEMBARRIER: u32 = 1;
pub const PEAL_CHANNEL_STRICT: u32 = 2;
pub const PEAL_SPIN_DEFAULT: i32 = 0;
pub const PEAL_SPIN_NEVER: i32 = -1;
pub const PEAL_GUEST_DOORBELLS_MAX: usize = 4;
pub const PEAL_PEER_ABSENT: c_int = 0;
pub const PEAL_PEER_ATTACHED: c_int = 1;
pub const PEAL_PEER_CLOSED: c_int = 2;
pub const PEAL_PEER_DEAD: c_int = 3;

pub const PEAL_DOORBELL_SOCKET: u32 = 0;
pub const PEAL_DOORBELL_EVENTFD: u32 = 1;
pub const PEAL_SIGNAL_SENT: c_int = 0;
pub const PEAL_SIGNAL_COALESCED: c_int = 1;
pub const PEAL_SIGNAL_PEER_DEAD: c_int = 2;
pub const PEAL_DRAIN_RUNG: c_int = 1;
pub const PEAL_DRAIN_CLOSED: c_int = 2;
pub const PEAL_DOORBELL_ARG: &str = "--doorbell-fd";
pub const PEAL_SEGMENT_ARG: &str = "--segment-fd";
pub const PEAL_PIDFD_ARG: &str = "--host-pidfd";

pub const PEAL_SPAWN_DIE_WITH_PARENT: c_uint = 1;
pub const PEAL_SPAWN_NO_NEW_PRIVS: c_uint = 2;
pub const PEAL_CHILD_RUNNING: c_int = 0;
pub const PEAL_CHILD_EXITED: c_int = 1;
pub const PEAL_CHILD_KILLED: c_int = 2;

pub const PEAL_POLLER_AUTO: u32 = 0;
pub const PEAL_POLLER_IO_URING: u32 = 1;
pub const PEAL_POLLER_EPOLL: u32 = 2;
pub const PEAL_EVENT_DATA: u32 = 1;
pub const PEAL_EVENT_SPACE: u32 = 2;
pub const PEAL_EVENT_CHILD: u32 = 3;
pub const PEAL_EVENT_WAKE: u32 = 4;
pub const PEAL_WATCH_ONCE: c_uint = 1;
pub const PEAL_WATCH_BATCH_WAKES: c_uint = 2;

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct peal_channel_options {
    pub size: usize,
    pub to_guest: u64,
    pub to_host: u64,
    pub align: u32,
    pub doorbell: u32,
    pub flags: u32,
    pub spin_max_us: i32,
    pub name: *const c_char,
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct peal_attach_options {
    pub size: usize,
    pub flags: u32,
    pub spin_max_us: i32,
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct peal_guest_fds {
    pub host_segment: c_int,
    pub guest_segment: c_int,
    pub doorbells: [c_int; PEAL_GUEST_DOORBELLS_MAX],
    pub doorbell_count: c_uint,
    pub host_pidfd: c_int,
}

#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct peal_ring_stats {
    pub capacity: u64,
    pub position: u64,
    pub sleeps: u64,
    pub wakes: u64,
    pub spurious: u64,
}

#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct peal_side_stats {
    pub tx: peal_ring_stats,
    pub rx: peal_ring_stats,
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct peal_record {
    pub data: *const c_void,
    pub size: u32,
    pub type_: u16,
    pub end: u64,
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct peal_doorbell {
    pub wait_fd: c_int,
    pub signal_fd: c_int,
    pub watch_fd: c_int,
    pub kind: c_int,
    pub dead: c_int,
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct peal_doorbell_handle {
    pub fd: c_int,
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct peal_wake_pair {
    pub producer_wake: c_int,
    pub consumer_wake: c_int,
}

/// The C library's.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct rlimit {
    pub rlim_cur: u64,
    pub rlim_max: u64,
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct peal_rlimit {
    pub resource: c_int,
    pub limit: rlimit,
}

/// Called in the child just before exec; see `peal_spawn_options`.
pub type peal_pre_exec = unsafe extern "C" fn(*mut c_void) -> c_int;

#[repr(C)]
#[derive(Clone, Copy)]
pub struct peal_spawn_options {
    pub size: usize,
    pub flags: c_uint,
    pub envp: *const *mut c_char,
    pub rlimits: *const peal_rlimit,
    pub rlimit_count: usize,
    pub pre_exec: Option<peal_pre_exec>,
    pub pre_exec_data: *mut c_void,
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct peal_spawn_fd {
    pub arg: *const c_char,
    pub fd: c_int,
}

#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct peal_child_status {
    pub state: c_int,
    pub value: c_int,
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct peal_poller_options {
    pub size: usize,
    pub backend: u32,
    pub spin_max_us: i32,
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct peal_event {
    pub user: *mut c_void,
    pub watch: *mut peal_watch,
    pub kind: u32,
}

// One declaration a line, for the test that reads them.
#[rustfmt::skip]
extern "C" {
    // base.h
    pub fn peal_strerror(error: c_int) -> *const c_char;
    pub fn peal_last_error() -> *const c_char;
    pub fn peal_now_ns() -> u64;
    pub fn peal_deadline_in_ns(ns: u64) -> u64;
    pub fn peal_fd_validate(fd: c_int) -> c_int;
    pub fn peal_fd_set_nonblocking(fd: c_int) -> c_int;
    pub fn peal_fd_set_cloexec(fd: c_int) -> c_int;
    pub fn peal_fd_clear_cloexec(fd: c_int) -> c_int;

    // ring.h
    pub fn peal_reserve(tx: *mut peal_producer, size: usize, payload: *mut *mut c_void) -> c_int;
    pub fn peal_reserve_wait(tx: *mut peal_producer, size: usize, payload: *mut *mut c_void, deadline_ns: u64) -> c_int;
    pub fn peal_commit(tx: *mut peal_producer, size: usize, type_: u16) -> c_int;
    pub fn peal_stage(tx: *mut peal_producer, size: usize, type_: u16) -> c_int;
    pub fn peal_publish(tx: *mut peal_producer) -> c_int;
    pub fn peal_abort(tx: *mut peal_producer);
    pub fn peal_send(tx: *mut peal_producer, data: *const c_void, size: usize, type_: u16, deadline_ns: u64) -> c_int;
    pub fn peal_record_max(tx: *const peal_producer) -> usize;
    pub fn peal_next(rx: *mut peal_consumer, record: *mut peal_record) -> c_int;
    pub fn peal_next_wait(rx: *mut peal_consumer, record: *mut peal_record, deadline_ns: u64) -> c_int;
    pub fn peal_release(rx: *mut peal_consumer) -> c_int;
    pub fn peal_release_to(rx: *mut peal_consumer, record: *const peal_record) -> c_int;
    pub fn peal_recv(rx: *mut peal_consumer, buffer: *mut c_void, size: usize, type_: *mut u16, deadline_ns: u64) -> i64;
    pub fn peal_arm_data(rx: *mut peal_consumer) -> c_int;
    pub fn peal_disarm_data(rx: *mut peal_consumer) -> c_int;
    pub fn peal_arm_space(tx: *mut peal_producer, size: usize) -> c_int;
    pub fn peal_disarm_space(tx: *mut peal_producer) -> c_int;

    // channel.h
    pub fn peal_channel_create(channel: *mut *mut peal_channel, options: *const peal_channel_options) -> c_int;
    pub fn peal_tx(channel: *mut peal_channel) -> *mut peal_producer;
    pub fn peal_rx(channel: *mut peal_channel) -> *mut peal_consumer;
    pub fn peal_channel_close(channel: *mut peal_channel) -> *mut peal_channel;
    pub fn peal_spawn(child: *mut *mut peal_child, channel: *mut peal_channel, argv: *const *mut c_char, options: *const peal_spawn_options) -> c_int;
    pub fn peal_child_wait_ready(child: *mut peal_child, channel: *mut peal_channel, deadline_ns: u64) -> c_int;
    pub fn peal_channel_guest_fds(channel: *mut peal_channel, fds: *mut peal_guest_fds) -> c_int;
    pub fn peal_channel_close_guest_end(channel: *mut peal_channel);
    pub fn peal_channel_watch(channel: *mut peal_channel, pidfd: c_int) -> c_int;
    pub fn peal_channel_wait_ready(channel: *mut peal_channel, deadline_ns: u64) -> c_int;
    pub fn peal_attach_args(channel: *mut *mut peal_channel, argc: *mut c_int, argv: *mut *mut c_char, options: *const peal_attach_options) -> c_int;
    pub fn peal_attach_fds(channel: *mut *mut peal_channel, fds: *const peal_guest_fds, options: *const peal_attach_options) -> c_int;
    pub fn peal_channel_peer(channel: *mut peal_channel) -> c_int;
    pub fn peal_rx_fd(channel: *const peal_channel) -> c_int;
    pub fn peal_tx_fd(channel: *const peal_channel) -> c_int;
    pub fn peal_channel_peer_fd(channel: *const peal_channel) -> c_int;
    pub fn peal_channel_stats(channel: *const peal_channel, own: *mut peal_side_stats, peer: *mut peal_side_stats);

    // spawn.h
    pub fn peal_spawn_fds(child: *mut *mut peal_child, argv: *const *mut c_char, fds: *const peal_spawn_fd, fd_count: usize, options: *const peal_spawn_options) -> c_int;
    pub fn peal_child_pid(child: *const peal_child) -> c_int;
    pub fn peal_child_pidfd(child: *const peal_child) -> c_int;
    pub fn peal_child_wait(child: *mut peal_child, deadline_ns: u64, status: *mut peal_child_status) -> c_int;
    pub fn peal_child_kill(child: *mut peal_child, signal: c_int) -> c_int;
    pub fn peal_child_describe(child: *mut peal_child, buffer: *mut c_char, size: usize) -> *mut c_char;
    pub fn peal_child_free(child: *mut peal_child) -> *mut peal_child;

    // doorbell.h
    pub fn peal_wake_create() -> c_int;
    pub fn peal_wake_notify(fd: c_int) -> c_int;
    pub fn peal_wake_try_read(fd: c_int) -> i64;
    pub fn peal_wake_pair_create(pair: *mut peal_wake_pair) -> c_int;
    pub fn peal_wake_pair_close(pair: *mut peal_wake_pair);
    pub fn peal_doorbell_create(host: *mut peal_doorbell, guest: *mut peal_doorbell_handle) -> c_int;
    pub fn peal_doorbell_from_handle(db: *mut peal_doorbell, handle: peal_doorbell_handle) -> c_int;
    pub fn peal_doorbell_from_fd_take(db: *mut peal_doorbell, fd: c_int) -> c_int;
    pub fn peal_doorbell_from_wakes_take(db: *mut peal_doorbell, wait_fd: c_int, signal_fd: c_int) -> c_int;
    pub fn peal_doorbell_watch(db: *mut peal_doorbell, pidfd: c_int);
    pub fn peal_doorbell_close(db: *mut peal_doorbell);
    pub fn peal_doorbell_signal(db: *mut peal_doorbell) -> c_int;
    pub fn peal_doorbell_wait(db: *mut peal_doorbell, deadline_ns: u64) -> c_int;
    pub fn peal_doorbell_drain(db: *mut peal_doorbell) -> c_int;
    pub fn peal_doorbell_pending(db: *const peal_doorbell) -> i64;
    pub fn peal_doorbell_is_dead(db: *const peal_doorbell) -> bool;
    pub fn peal_doorbell_fd(db: *const peal_doorbell) -> c_int;
    pub fn peal_doorbell_accept(db: *mut peal_doorbell) -> c_int;
    pub fn peal_doorbell_handle_from_fd(fd: c_int) -> peal_doorbell_handle;
    pub fn peal_doorbell_handle_to_fd(handle: peal_doorbell_handle) -> c_int;
    pub fn peal_doorbell_handle_to_arg(handle: peal_doorbell_handle, buffer: *mut c_char, size: usize) -> c_int;
    pub fn peal_doorbell_handle_from_arg(handle: *mut peal_doorbell_handle, text: *const c_char) -> c_int;
    pub fn peal_doorbell_handle_close(handle: *mut peal_doorbell_handle);

    // poller.h
    pub fn peal_poller_create(poller: *mut *mut peal_poller, options: *const peal_poller_options) -> c_int;
    pub fn peal_poller_close(poller: *mut peal_poller) -> *mut peal_poller;
    pub fn peal_poller_backend(poller: *const peal_poller) -> c_int;
    pub fn peal_poller_watch_data(poller: *mut peal_poller, channel: *mut peal_channel, flags: c_uint, user: *mut c_void, watch: *mut *mut peal_watch) -> c_int;
    pub fn peal_poller_watch_space(poller: *mut peal_poller, channel: *mut peal_channel, size: usize, flags: c_uint, user: *mut c_void, watch: *mut *mut peal_watch) -> c_int;
    pub fn peal_poller_watch_child(poller: *mut peal_poller, child: *mut peal_child, user: *mut c_void, watch: *mut *mut peal_watch) -> c_int;
    pub fn peal_watch_remove(watch: *mut peal_watch);
    pub fn peal_watch_resume(watch: *mut peal_watch, size: usize) -> c_int;
    pub fn peal_poller_wait(poller: *mut peal_poller, events: *mut peal_event, max: c_int, deadline_ns: u64) -> c_int;
    pub fn peal_poller_wake(poller: *mut peal_poller) -> c_int;
    pub fn peal_poller_flush(poller: *mut peal_poller) -> c_int;
    pub fn peal_poller_fd(poller: *const peal_poller) -> c_int;
    pub fn peal_poller_arm(poller: *mut peal_poller) -> c_int;
}
