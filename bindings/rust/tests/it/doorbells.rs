// SPDX-License-Identifier: MIT
use peal::{Command, Doorbell, Drained, Ended, Handle, Signal, Wake, FOREVER, TRY};
use std::io::ErrorKind;
use std::os::unix::io::{AsFd, AsRawFd, OwnedFd};

use crate::common::{is_guest, join, nothing_is_left, this_test};

/// Answers three rings, then ends without a word.
fn be_the_guest() {
    let text = std::env::args().next_back().unwrap();
    // SAFETY: inherited, and named here only.
    let mut doorbell = Doorbell::from_handle(unsafe { Handle::from_arg(&text) }.unwrap()).unwrap();
    for _ in 0..3 {
        doorbell.wait(FOREVER).unwrap();
        assert!(doorbell.drain().unwrap().rung);
        assert_eq!(doorbell.signal().unwrap(), Signal::Sent);
    }
}

#[test]
fn a_doorbell_wakes_another_process() {
    if is_guest() {
        return be_the_guest();
    }
    let _left = nothing_is_left();
    let (mut doorbell, handle) = Doorbell::create_pair().unwrap();
    assert_eq!(
        handle.to_arg(),
        format!("--doorbell-fd={}", handle.as_fd().as_raw_fd())
    );
    let mut child = this_test("doorbells::a_doorbell_wakes_another_process")
        .spawn_fds(&[("--doorbell-fd", handle.as_fd())])
        .unwrap();
    drop(handle);
    for _ in 0..3 {
        assert_eq!(doorbell.signal().unwrap(), Signal::Sent);
        doorbell.wait(FOREVER).unwrap();
        assert!(doorbell.drain().unwrap().rung);
    }
    assert_eq!(
        doorbell.wait(FOREVER).unwrap_err().kind(),
        ErrorKind::BrokenPipe
    );
    assert!(doorbell.is_dead());
    assert_eq!(doorbell.signal().unwrap(), Signal::PeerDead);
    assert_eq!(
        doorbell.drain().unwrap(),
        Drained {
            rung: false,
            closed: true
        }
    );
    assert_eq!(child.wait(FOREVER).unwrap(), Ended::Exited(0));
}

#[test]
fn signals_add_up_and_coalesce() {
    let _left = nothing_is_left();
    let (mut near, handle) = Doorbell::create_pair().unwrap();
    let mut far = Doorbell::from_handle(handle).unwrap();
    assert_eq!(far.wait(TRY).unwrap_err().kind(), ErrorKind::WouldBlock);
    for _ in 0..5 {
        assert_eq!(near.signal().unwrap(), Signal::Sent);
    }
    assert_eq!(far.pending().unwrap(), 5);
    while near.signal().unwrap() == Signal::Sent {}
    assert_eq!(near.signal().unwrap(), Signal::Coalesced);
    assert!(!near.is_dead());
    drop(far);
    assert_eq!(near.signal().unwrap(), Signal::PeerDead);
}

#[test]
fn one_thread_rings_while_another_waits() {
    let _left = nothing_is_left();
    let (mut near, handle) = Doorbell::create_pair().unwrap();
    let mut far = Doorbell::from_handle(handle).unwrap();
    std::thread::scope(|threads| {
        let (mut near_rings, mut near_waits) = near.split();
        let (mut far_rings, mut far_waits) = far.split();
        let waits = [
            threads.spawn(move || near_waits.wait(FOREVER).unwrap()),
            threads.spawn(move || far_waits.wait(FOREVER).unwrap()),
        ];
        let rings = [
            threads.spawn(move || near_rings.signal().unwrap()),
            threads.spawn(move || far_rings.signal().unwrap()),
        ];
        join(rings);
        join(waits);
    });
    assert!(near.drain().unwrap().rung && far.drain().unwrap().rung);
}

#[test]
fn a_wake_pair_makes_a_doorbell() {
    let _left = nothing_is_left();
    let pair = Wake::create_pair().unwrap();
    let producer_wake = Wake::from(pair.producer_wake.as_fd().try_clone_to_owned().unwrap());
    let mut producer = Doorbell::from_wakes(pair.producer_wake, pair.consumer_wake).unwrap();
    producer_wake.notify().unwrap();
    producer.wait(FOREVER).unwrap();
    assert_eq!(producer.pending().unwrap(), 1);
    assert!(producer.drain().unwrap().rung);
    assert_eq!(producer_wake.try_read().unwrap(), 0);
}

#[test]
fn notifications_add_up() {
    let wake = Wake::create().unwrap();
    for _ in 0..7 {
        wake.notify().unwrap();
    }
    assert_eq!((wake.try_read().unwrap(), wake.try_read().unwrap()), (7, 0));
}

#[test]
fn a_watched_pidfd_is_kept_and_tells_of_death() {
    let _left = nothing_is_left();
    let pair = Wake::create_pair().unwrap();
    let mut doorbell = Doorbell::from_wakes(pair.producer_wake, pair.consumer_wake).unwrap();
    let mut child = Command::new("sleep").arg("1000").spawn_fds(&[]).unwrap();
    doorbell.watch(child.as_fd().try_clone_to_owned().unwrap());
    assert_eq!(
        doorbell.wait(TRY).unwrap_err().kind(),
        ErrorKind::WouldBlock
    );
    child.kill(15).unwrap();
    assert_eq!(
        doorbell.wait(FOREVER).unwrap_err().kind(),
        ErrorKind::BrokenPipe
    );
}

#[test]
fn what_is_no_doorbell_is_refused_and_closed() {
    let _left = nothing_is_left();
    let file = OwnedFd::from(std::fs::File::open("/dev/null").unwrap());
    assert_eq!(Doorbell::from_handle(file.into()).unwrap_err().errno(), 88);
    let file = || Wake::from(OwnedFd::from(std::fs::File::open("/dev/null").unwrap()));
    assert_eq!(
        Doorbell::from_wakes(file(), file()).unwrap_err().errno(),
        25
    );
    for text in [
        "--doorbell-fd=2",
        "--doorbell-fd=",
        "x",
        "0x10",
        " 5",
        "--doorbell-fd=5 ",
    ] {
        // SAFETY: none of them is taken.
        let error = unsafe { Handle::from_arg(text) }.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{text}: {error}");
    }
}
