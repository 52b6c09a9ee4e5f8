// SPDX-License-Identifier: MIT
//! What the tests share: a host and its guest, and that nothing is left of them.
use peal::{Channel, Child, Command, DoorbellKind, Ended, Options, FOREVER};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::thread::ScopedJoinHandle;

pub const SIGKILL: i32 = 9;

/// The programs that the tests are run with.
pub fn program(name: &str) -> Command {
    Command::new(std::env::var_os(name).unwrap_or_else(|| panic!("{name} names no program")))
}

pub fn c_guest(mode: &str) -> Command {
    program("PEAL_C_GUEST").arg(mode)
}

/// Was this program started by `this_test`?
pub fn is_guest() -> bool {
    std::env::args().any(|arg| arg.starts_with("--doorbell-fd="))
}

/// This program again, to run one "test" as a guest. It says nothing that could be taken for results.
pub fn this_test(name: &str) -> Command {
    Command::new("sh")
        .arg("-c")
        .arg("exec \"$0\" \"$@\" >/dev/null")
        .arg(std::env::current_exe().unwrap())
        .arg("--exact")
        .arg(name)
        .arg("--")
}

/// Both doorbells, both barrier modes, both alignments.
pub fn configs() -> impl Iterator<Item = Options> {
    (0..8).map(|index| {
        let kind = if index & 1 == 0 {
            DoorbellKind::Socket
        } else {
            DoorbellKind::Eventfd
        };
        let options = Options::new()
            .to_guest(1 << 16)
            .to_host(1 << 16)
            .doorbell(kind)
            .name("rust");
        let options = options.align(if index & 4 == 0 { 8 } else { 64 });
        if index & 2 == 0 {
            options
        } else {
            options.without_membarrier()
        }
    })
}

pub fn options() -> Options {
    configs().next().unwrap()
}

/// No descriptor is left when it goes. The tests run one after the other.
pub struct Descriptors(BTreeMap<OsString, Option<PathBuf>>);

fn descriptors() -> BTreeMap<OsString, Option<PathBuf>> {
    let all = std::fs::read_dir("/proc/self/fd")
        .unwrap()
        .map(Result::unwrap);
    all.map(|entry| (entry.file_name(), std::fs::read_link(entry.path()).ok()))
        .collect()
}

pub fn nothing_is_left() -> Descriptors {
    Descriptors(descriptors())
}

impl Drop for Descriptors {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            assert_eq!(descriptors(), self.0, "descriptors");
        }
    }
}

pub struct Pair {
    pub channel: Channel,
    pub child: Child,
    pub _left: Descriptors, // goes last
}

impl Pair {
    pub fn start(options: &Options, command: &Command) -> Pair {
        let left = nothing_is_left();
        let mut channel = Channel::create(options).unwrap();
        let mut child = channel.spawn(command).unwrap();
        child.wait_ready(&mut channel, FOREVER).unwrap();
        Pair {
            channel,
            child,
            _left: left,
        }
    }

    /// The guest ends in good order when its host has gone.
    pub fn end(self) {
        let Pair {
            channel,
            mut child,
            _left,
        } = self;
        drop(channel);
        assert_eq!(child.wait(FOREVER).unwrap(), Ended::Exited(0));
        drop(child);
    }
}

/// `size` bytes that follow from `seed`.
pub fn bytes(size: usize, seed: u64) -> Vec<u8> {
    let mut state = seed;
    let next = || {
        state = state
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (state >> 56) as u8
    };
    std::iter::repeat_with(next).take(size).collect()
}

/// Wait until the threads have ended. A scope waits for what they do only, and the C library may open
/// a file while a thread frees its memory.
pub fn join<T, const N: usize>(threads: [ScopedJoinHandle<'_, T>; N]) {
    for thread in threads {
        thread.join().unwrap();
    }
}
