// SPDX-License-Identifier: MIT
//! One thread that waits for many.
use peal::{Backend, Channel, Ended, Event, Poller, Result, Token, Watched, FOREVER, TRY};
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::os::unix::io::{AsFd, AsRawFd};

use crate::common::{c_guest, join, nothing_is_left, options, Pair, SIGKILL};

fn read_all(poller: &mut Poller<'_>, token: Token, count: &mut usize) -> Result<()> {
    while let Some(record) = poller.try_next(token)? {
        assert_eq!(usize::from(record.kind()), *count);
        *count += 1;
    }
    Ok(())
}

/// Guests that each send so many numbers and end; all are read by one thread, and their ends told.
fn many_are_served(backend: Backend) {
    let _left = nothing_is_left();
    let mut channels: Vec<Channel> = (0..5)
        .map(|_| Channel::create(&options()).unwrap())
        .collect();
    let mut children = Vec::new();
    for (i, channel) in channels.iter_mut().enumerate() {
        let guest = c_guest("send")
            .arg((100 * (i + 1)).to_string())
            .arg("50")
            .arg("1");
        let mut child = channel.spawn(&guest).unwrap();
        child.wait_ready(channel, FOREVER).unwrap();
        children.push(child);
    }
    let mut poller = Poller::create(backend).unwrap();
    let mut counts: BTreeMap<Token, usize> = BTreeMap::new();
    for channel in &mut channels {
        counts.insert(poller.watch_data(channel.rx().unwrap()).unwrap(), 0);
    }
    let mut left = counts.len() + children.len();
    for child in children {
        poller.watch_child(child).unwrap();
    }
    let mut events = Vec::new();
    while left > 0 {
        poller.wait(&mut events, FOREVER).unwrap();
        for event in &events {
            match *event {
                Event::Data(token) => {
                    if let Err(end) = read_all(&mut poller, token, counts.get_mut(&token).unwrap())
                    {
                        assert!(end.is_peer_gone(), "{end}");
                        assert!(matches!(poller.remove(token), Some(Watched::Data(_))));
                        left -= 1;
                    }
                }
                Event::Child(token) => {
                    assert_eq!(poller.ended(token).unwrap(), Ended::Exited(0));
                    left -= 1;
                }
                other => panic!("{other:?}"),
            }
        }
    }
    assert_eq!(
        counts.into_values().collect::<Vec<_>>(),
        [100, 200, 300, 400, 500]
    );
}

#[test]
fn many_are_served_by_epoll() {
    many_are_served(Backend::Epoll);
}

#[test]
fn many_are_served_by_what_there_is() {
    many_are_served(Backend::Auto);
}

#[test]
fn room_is_told_once_and_asked_for_again() {
    let mut pair = Pair::start(
        &options(),
        &c_guest("receive").arg("1000000").arg("1").arg("1"),
    );
    let mut events = Vec::new();
    let mut poller = Poller::create(Backend::Auto).unwrap();
    let token = poller
        .watch_space(pair.channel.tx().unwrap(), 8000)
        .unwrap();
    for _ in 0..2 {
        poller.wait(&mut events, FOREVER).unwrap();
        assert_eq!(events, [Event::Space(token)]);
        poller.reserve_now(token, 8000).unwrap().unwrap();
        assert_eq!(
            poller.wait(&mut events, TRY).unwrap_err().kind(),
            ErrorKind::WouldBlock
        );
        assert!(events.is_empty());
        poller.resume(token, 8000).unwrap();
    }
    assert_eq!(poller.resume(token, 8000).unwrap_err().errno(), 16);
    assert_eq!(poller.try_next(token).unwrap_err().errno(), 22);
    let mut tx = match poller.remove(token) {
        Some(Watched::Space(tx)) => tx,
        other => panic!("{other:?}"),
    };
    assert!(poller.remove(token).is_none());
    assert_eq!(poller.reserve_now(token, 1).unwrap_err().errno(), 22);
    tx.reserve(8, FOREVER).unwrap();
    let token = poller.watch_space(tx, 8000).unwrap();
    pair.child.kill(SIGKILL).unwrap();
    while poller.reserve_now(token, 8000).map(drop).is_ok() {
        poller.wait(&mut events, FOREVER).unwrap();
        let _ = poller.resume(token, 8000);
    }
}

#[test]
fn another_thread_wakes_it_and_it_sleeps_in_another_loop() {
    let _left = nothing_is_left();
    let mut events = Vec::new();
    let mut poller = Poller::create(Backend::Auto).unwrap();
    assert!(poller.as_fd().as_raw_fd() > 2);
    let waker = poller.waker();
    std::thread::scope(|threads| {
        let other = threads.spawn(|| waker.wake().unwrap());
        poller.wait(&mut events, FOREVER).unwrap();
        join([other]);
    });
    assert_eq!(events, [Event::Wake]);
    assert!(poller.arm().unwrap());
    drop(poller);
    waker.wake().unwrap();
}

#[test]
fn what_a_poller_has_is_freed_with_it() {
    let pair = Pair::start(&options(), &c_guest("echo"));
    let Pair {
        mut channel,
        child,
        _left,
    } = pair;
    let pid = child.id();
    let mut poller = Poller::create(Backend::Auto).unwrap();
    poller.watch_child(child).unwrap();
    poller.watch_data(channel.rx().unwrap()).unwrap();
    let waker = poller.waker(); // keeps it from being closed, not what it had
    drop(poller);
    let mut another = Poller::create(Backend::Auto).unwrap();
    another.watch_data(channel.rx().unwrap()).unwrap();
    drop((another, waker));
    assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
    assert!(channel
        .rx()
        .unwrap()
        .next(FOREVER)
        .unwrap_err()
        .is_peer_gone());
    drop(channel);
}
