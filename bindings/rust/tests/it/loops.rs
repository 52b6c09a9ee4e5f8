// SPDX-License-Identifier: MIT
//! Two threads, and sleeping in somebody else's poll.
use peal::{FOREVER, TRY};
use std::io::ErrorKind;
use std::os::raw::{c_int, c_short, c_ulong};
use std::os::unix::io::{AsFd, AsRawFd};

use crate::common::{bytes, c_guest, join, options, Pair, SIGKILL};

#[repr(C)]
struct PollFd {
    fd: c_int,
    events: c_short,
    revents: c_short,
}

extern "C" {
    fn poll(fds: *mut PollFd, count: c_ulong, timeout_ms: c_int) -> c_int;
}

/// Until one of them is readable.
fn sleep(fds: &[c_int]) {
    assert!(readable(fds, -1));
}

fn readable(fds: &[c_int], timeout_ms: c_int) -> bool {
    let mut fds: Vec<_> = fds
        .iter()
        .map(|fd| PollFd {
            fd: *fd,
            events: 1,
            revents: 0,
        })
        .collect();
    // SAFETY: so many.
    unsafe { poll(fds.as_mut_ptr(), fds.len() as c_ulong, timeout_ms) > 0 }
}

#[test]
fn two_threads_have_one_end_each() {
    let mut pair = Pair::start(&options(), &c_guest("echo"));
    let (mut tx, mut rx) = pair.channel.split().unwrap();
    std::thread::scope(|threads| {
        let sender = threads.spawn(move || {
            for i in 0..5000u64 {
                tx.send(&bytes(i as usize % 3000, i), i as u16, FOREVER)
                    .unwrap();
            }
        });
        let receiver = threads.spawn(move || {
            for i in 0..5000u64 {
                let record = rx.next(FOREVER).unwrap();
                assert_eq!(record.kind(), i as u16);
                assert_eq!(record.to_vec(), bytes(i as usize % 3000, i));
            }
        });
        join([sender, receiver]);
    });
    pair.end();
}

#[test]
fn a_foreign_loop_sleeps_for_data_and_for_the_end() {
    let mut pair = Pair::start(&options(), &c_guest("drip").arg("50").arg("200"));
    let mut rx = pair.channel.rx().unwrap();
    let mut numbers = Vec::new();
    let mut slept = 0;
    let end = loop {
        match rx.try_next() {
            Ok(Some(record)) => {
                numbers.push(u64::from_le_bytes(record.read(0).unwrap()));
                continue;
            }
            Ok(None) => {}
            Err(error) => break error,
        }
        match rx.arm() {
            Ok(Some(armed)) => {
                slept += 1;
                let peer = armed.peer_fd().unwrap();
                sleep(&[armed.as_fd().as_raw_fd(), peer.as_raw_fd()]);
            }
            Ok(None) => {}
            Err(error) => break error,
        }
    };
    assert!(end.is_peer_gone(), "{end}");
    assert_eq!(numbers, (0..50).collect::<Vec<u64>>());
    assert!(slept > 0);
}

#[test]
fn a_foreign_loop_sleeps_for_room() {
    let mut pair = Pair::start(&options(), &c_guest("echo"));
    let (mut tx, mut rx) = pair.channel.split().unwrap();
    std::thread::scope(|threads| {
        let receiver = threads.spawn(move || {
            for _ in 0..1000 {
                rx.next(FOREVER).unwrap();
            }
        });
        for _ in 0..1000 {
            while let Err(full) = tx.send(&[0; 8000], 0, TRY) {
                assert_eq!(full.kind(), ErrorKind::WouldBlock);
                if let Some(armed) = tx.arm(8000).unwrap() {
                    let peer = armed.peer_fd().unwrap();
                    sleep(&[armed.as_fd().as_raw_fd(), peer.as_raw_fd()]);
                }
            }
        }
        join([receiver]);
    });
}

#[test]
fn a_full_ring_says_so_and_an_armed_end_can_be_left() {
    let mut pair = Pair::start(&options(), &c_guest("stall"));
    let (mut tx, mut rx) = pair.channel.split().unwrap();
    while let Some(room) = tx.reserve_now(1000).unwrap() {
        room.commit(1000, 0).unwrap();
    }
    assert!(tx.reserve(tx.record_max() + 1, TRY).unwrap_err().errno() == 90);
    drop(tx.arm(1000).unwrap().unwrap());
    drop(rx.arm().unwrap().unwrap());
    assert_eq!(rx.next(TRY).unwrap_err().kind(), ErrorKind::WouldBlock);
    drop((tx, rx));
    pair.child.kill(SIGKILL).unwrap();
    let mut tx = pair.channel.tx().unwrap();
    assert!(tx.reserve(1000, FOREVER).unwrap_err().is_peer_gone());
}

#[test]
fn an_end_that_is_awake_again_has_taken_its_bells() {
    let mut pair = Pair::start(&options(), &c_guest("echo"));
    let (mut tx, mut rx) = pair.channel.split().unwrap();
    let armed = rx.arm().unwrap().unwrap();
    tx.send(b"ring once", 0, FOREVER).unwrap();
    sleep(&[armed.as_fd().as_raw_fd()]);
    drop(armed);
    assert!(!readable(&[rx.as_raw_fd()], 0));
    rx.next(FOREVER).unwrap();
    // Both rings full: the guest waits for room, and we do.
    let armed = loop {
        while let Ok(Some(room)) = tx.reserve_now(8000) {
            room.commit(8000, 0).unwrap();
        }
        let full = pair.child.as_fd(); // no event while it lives
        assert!(!readable(&[full.as_raw_fd()], 20));
        if let Some(armed) = tx.arm(8000).unwrap() {
            break armed;
        }
    };
    let fd = armed.as_fd().as_raw_fd();
    while !readable(&[fd], 0) {
        if let Ok(Some(record)) = rx.try_next() {
            assert_eq!(record.len(), 8000);
        }
    }
    drop(armed);
    assert!(!readable(&[fd], 0));
}

#[test]
fn a_batch_tells_the_end_after_the_last_record() {
    let mut pair = Pair::start(&options(), &c_guest("echo"));
    let (mut tx, mut rx) = pair.channel.split().unwrap();
    let armed = rx.arm().unwrap().unwrap();
    tx.send(b"the last", 0, FOREVER).unwrap();
    sleep(&[armed.as_fd().as_raw_fd()]);
    pair.child.kill(SIGKILL).unwrap();
    pair.child.wait(FOREVER).unwrap();
    drop(armed); // learns of it
    let mut batch = rx.batch(FOREVER).unwrap();
    let texts: Vec<_> = (&mut batch).into_iter().map(|view| view.to_vec()).collect();
    assert_eq!(texts, [b"the last"]);
    assert!(batch.finish().unwrap_err().is_peer_gone());
}
