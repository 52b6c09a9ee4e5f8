// SPDX-License-Identifier: MIT
use peal::{Channel, Command, DoorbellKind, Options, FOREVER, TRY};
use std::io::ErrorKind;
use std::os::unix::io::AsRawFd;

use crate::common::{bytes, c_guest, configs, options, program, Pair};

fn every_record_comes_back_from(guest: &Command) {
    for config in configs() {
        let mut pair = Pair::start(&config, guest);
        let (mut tx, mut rx) = pair.channel.split().unwrap();
        for i in 0..700u16 {
            let data = bytes(usize::from(i), u64::from(i));
            tx.send(&data, i, FOREVER).unwrap();
            let record = rx.next(FOREVER).unwrap();
            assert_eq!((record.to_vec(), record.kind()), (data, i));
        }
        pair.end();
    }
}

#[test]
fn every_record_comes_back_from_a_guest_in_c() {
    every_record_comes_back_from(&c_guest("echo"));
}

#[test]
fn every_record_comes_back_from_a_guest_in_rust() {
    every_record_comes_back_from(&program("PEAL_RUST_GUEST"));
}

#[test]
fn a_record_is_written_and_read_in_place() {
    let mut pair = Pair::start(&options().align(64), &c_guest("echo"));
    let (mut tx, mut rx) = pair.channel.split().unwrap();
    let mut room = tx.reserve(1000, FOREVER).unwrap();
    assert_eq!((room.len(), room.as_ptr() as usize % 64), (1000, 0));
    room[..5].copy_from_slice(b"hello");
    room.commit(5, 3).unwrap();
    let record = rx.next(FOREVER).unwrap();
    assert_eq!(
        (record.len(), record.kind(), record.as_ptr() as usize % 64),
        (5, 3, 0)
    );
    // SAFETY: this guest does not write to what it has sent.
    assert_eq!(unsafe { record.as_slice() }, b"hello");
}

#[test]
fn a_reservation_without_commit_is_given_up() {
    let mut pair = Pair::start(&options(), &c_guest("echo"));
    let (mut tx, mut rx) = pair.channel.split().unwrap();
    tx.reserve(100, FOREVER).unwrap()[..5].copy_from_slice(b"never");
    assert_eq!(
        tx.reserve(8, FOREVER)
            .unwrap()
            .commit(9, 0)
            .unwrap_err()
            .errno(),
        22
    );
    tx.send(b"only", 0, FOREVER).unwrap();
    assert_eq!(rx.next(FOREVER).unwrap().to_vec(), b"only");
    assert!(rx.try_next().unwrap().is_none());
}

#[test]
fn a_dropped_reservation_can_not_be_committed_behind_its_back() {
    let mut pair = Pair::start(&options(), &c_guest("echo"));
    let mut tx = pair.channel.tx().unwrap();
    drop(tx.reserve(8, FOREVER).unwrap());
    // SAFETY: a producer that lives.
    assert_eq!(unsafe { peal::sys::peal_commit(tx.as_raw(), 8, 0) }, -22);
}

#[test]
fn staged_records_are_seen_when_they_are_published() {
    let mut pair = Pair::start(&options(), &c_guest("echo"));
    let (mut tx, mut rx) = pair.channel.split().unwrap();
    for i in 0..100u64 {
        let mut room = tx.reserve_now(8).unwrap().unwrap();
        room.copy_from_slice(&i.to_le_bytes());
        room.stage(8, 0).unwrap();
    }
    assert_eq!(
        rx.next(std::time::Duration::from_millis(20))
            .unwrap_err()
            .kind(),
        ErrorKind::TimedOut
    );
    tx.publish().unwrap();
    for i in 0..100u64 {
        assert_eq!(
            rx.next(FOREVER).unwrap().read(0).map(u64::from_le_bytes),
            Some(i)
        );
    }
}

#[test]
fn a_batch_is_released_at_once() {
    let mut pair = Pair::start(&options(), &c_guest("echo"));
    for i in 0..100u8 {
        pair.channel
            .tx()
            .unwrap()
            .send(&[i; 100], 0, FOREVER)
            .unwrap();
    }
    let released = |pair: &Pair| pair.channel.stats().0.rx.position;
    let mut seen = 0;
    while seen < 100 {
        let before = released(&pair);
        let raw = pair.channel.as_raw();
        let mut rx = pair.channel.rx().unwrap();
        let mut batch = rx.batch(FOREVER).unwrap();
        let views: Vec<_> = (&mut batch).into_iter().collect();
        let mut own = peal::sys::peal_side_stats::default();
        // SAFETY: any thread may ask at any time.
        unsafe { peal::sys::peal_channel_stats(raw, &mut own, std::ptr::null_mut()) };
        assert_eq!(own.rx.position, before);
        for view in &views {
            assert_eq!(view.to_vec(), [seen; 100]);
            seen += 1;
        }
        let count = views.len() as u64;
        batch.finish().unwrap();
        assert_eq!(released(&pair), before + count * 112);
    }
}

#[test]
fn every_part_of_a_record_can_be_copied() {
    let mut pair = Pair::start(&options(), &c_guest("echo"));
    let (mut tx, mut rx) = pair.channel.split().unwrap();
    for size in 0..40 {
        let data = bytes(size, 7);
        tx.send(&data, 0, FOREVER).unwrap();
        let record = rx.next(FOREVER).unwrap();
        for from in 0..=size {
            for to in from..=size {
                let mut part = vec![0; to - from];
                record.copy_to(from, &mut part);
                assert_eq!(part, data[from..to]);
            }
        }
        assert_eq!(record.read::<4>(size.wrapping_sub(3)), None);
        assert_eq!(record.read::<0>(size), Some([]));
    }
}

#[test]
#[should_panic(expected = "2 bytes at 7 of a record of 8")]
fn what_is_beyond_a_record_is_not_copied() {
    let mut pair = Pair::start(&options(), &c_guest("echo"));
    let (mut tx, mut rx) = pair.channel.split().unwrap();
    tx.send(&[0; 8], 0, FOREVER).unwrap();
    rx.next(FOREVER).unwrap().copy_to(7, &mut [0; 2]);
}

#[test]
fn a_record_that_is_too_large_stays() {
    let mut pair = Pair::start(&options(), &c_guest("echo"));
    let (mut tx, mut rx) = pair.channel.split().unwrap();
    tx.send(b"0123456789", 9, FOREVER).unwrap();
    let mut buffer = [0; 10];
    let error = rx.recv(&mut buffer[..9], FOREVER).unwrap_err();
    assert_eq!(error.errno(), 90);
    assert!(error.to_string().contains("10"), "{error}");
    assert_eq!(rx.recv(&mut buffer, FOREVER).unwrap(), (10, 9));
    assert_eq!(&buffer, b"0123456789");
    assert_eq!(
        rx.recv(&mut buffer, TRY).unwrap_err().kind(),
        ErrorKind::WouldBlock
    );
}

#[test]
fn forgotten_records_and_reservations_harm_nobody() {
    let mut pair = Pair::start(&options(), &c_guest("echo"));
    let (mut tx, mut rx) = pair.channel.split().unwrap();
    for text in [b"one", b"two"] {
        tx.send(text, 0, FOREVER).unwrap();
    }
    std::mem::forget(rx.next(FOREVER).unwrap());
    assert_eq!(rx.recv(&mut [0; 3], FOREVER).unwrap_err().errno(), 16);
    assert_eq!(rx.next(FOREVER).unwrap().to_vec(), b"two");
    std::mem::forget(tx.reserve(10, FOREVER).unwrap());
    std::mem::forget(rx.arm().unwrap());
    tx.send(b"three", 0, FOREVER).unwrap();
    assert_eq!(rx.recv(&mut [0; 5], FOREVER).unwrap().0, 5);
}

#[test]
fn a_channel_may_have_one_ring() {
    let mut channel = Channel::create(&Options::new().to_guest(4096)).unwrap();
    assert!(channel.tx().is_ok());
    assert_eq!(channel.rx().unwrap_err().kind(), ErrorKind::InvalidInput);
    assert!(channel.split().is_err());
}

#[test]
fn doorbells_are_of_the_kind_that_was_asked_for() {
    for (kind, name) in [
        (DoorbellKind::Socket, "socket:"),
        (DoorbellKind::Eventfd, "[eventfd]"),
    ] {
        let mut channel = Channel::create(&options().doorbell(kind)).unwrap();
        let (tx, rx) = channel.split().unwrap();
        for fd in [tx.as_raw_fd(), rx.as_raw_fd()] {
            let link = std::fs::read_link(format!("/proc/self/fd/{fd}")).unwrap();
            assert!(link.to_string_lossy().contains(name), "{}", link.display());
        }
    }
}
