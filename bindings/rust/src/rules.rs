// SPDX-License-Identifier: MIT
//! What the compiler refuses. A ring has one producer and one consumer, a record is valid until it
//! is released, a reservation is committed once: here they are, each as a program that does not
//! compile, with the error that says why.
//!
//! All of them begin like this one, which does:
//! ```no_run
//! # fn main() -> peal::Result<()> {
//! let mut channel = peal::Channel::create(&peal::Options::new().to_guest(4096).to_host(4096))?;
//! let mut child = channel.spawn(&peal::Command::new("./plugin"))?;
//! child.wait_ready(&mut channel, peal::FOREVER)?;
//! let (mut tx, mut rx) = channel.split()?;
//! tx.send(b"hello", 1, peal::FOREVER)?;
//! let answer = rx.next(peal::FOREVER)?;
//! assert_eq!(answer.to_vec(), b"HELLO");
//! # Ok(()) }
//! ```
//!
//! **One record at a time**, because the next one is looked for where this one ends, and releasing
//! either would release both. A [`Batch`](crate::Batch) shows several.
//! ```compile_fail,E0499
//! # fn main() -> peal::Result<()> {
//! # let mut channel = peal::Channel::create(&peal::Options::new().to_host(4096))?;
//! let mut rx = channel.rx()?;
//! let first = rx.next(peal::FOREVER)?;
//! let second = rx.next(peal::FOREVER)?;
//! first.to_vec();
//! # Ok(()) }
//! ```
//!
//! **No look at a record that is released.**
//! ```compile_fail,E0382
//! # fn main() -> peal::Result<()> {
//! # let mut channel = peal::Channel::create(&peal::Options::new().to_host(4096))?;
//! # let mut rx = channel.rx()?;
//! let record = rx.next(peal::FOREVER)?;
//! drop(record);
//! record.to_vec();
//! # Ok(()) }
//! ```
//!
//! **Nor at one of a batch that is.**
//! ```compile_fail,E0505
//! # fn main() -> peal::Result<()> {
//! # let mut channel = peal::Channel::create(&peal::Options::new().to_host(4096))?;
//! # let mut rx = channel.rx()?;
//! let mut batch = rx.batch(peal::FOREVER)?;
//! let first = (&mut batch).into_iter().next().unwrap();
//! batch.finish()?;
//! first.to_vec();
//! # Ok(()) }
//! ```
//!
//! **No slice of a record without a word that the peer is trusted.**
//! ```compile_fail,E0133
//! # fn main() -> peal::Result<()> {
//! # let mut channel = peal::Channel::create(&peal::Options::new().to_host(4096))?;
//! # let mut rx = channel.rx()?;
//! let record = rx.next(peal::FOREVER)?;
//! let bytes: &[u8] = record.as_slice();
//! # Ok(()) }
//! ```
//!
//! **One reservation at a time.**
//! ```compile_fail,E0499
//! # fn main() -> peal::Result<()> {
//! # let mut channel = peal::Channel::create(&peal::Options::new().to_guest(4096))?;
//! let mut tx = channel.tx()?;
//! let first = tx.reserve(8, peal::FOREVER)?;
//! let second = tx.reserve(8, peal::FOREVER)?;
//! first.commit(8, 0)?;
//! # Ok(()) }
//! ```
//!
//! **Nothing is written after the commit**, when it is the consumer's.
//! ```compile_fail,E0382
//! # fn main() -> peal::Result<()> {
//! # let mut channel = peal::Channel::create(&peal::Options::new().to_guest(4096))?;
//! # let mut tx = channel.tx()?;
//! let mut room = tx.reserve(8, peal::FOREVER)?;
//! room.commit(8, 0)?;
//! room[0] = 1;
//! # Ok(()) }
//! ```
//!
//! **One producer**, and one consumer: there is no second one of the same channel,
//! ```compile_fail,E0499
//! # fn main() -> peal::Result<()> {
//! # let mut channel = peal::Channel::create(&peal::Options::new().to_guest(4096))?;
//! let mut one = channel.tx()?;
//! let mut other = channel.tx()?;
//! one.send(b"", 0, peal::FOREVER)?;
//! # Ok(()) }
//! ```
//! nor a copy,
//! ```compile_fail,E0599
//! # fn main() -> peal::Result<()> {
//! # let mut channel = peal::Channel::create(&peal::Options::new().to_guest(4096))?;
//! let tx = channel.tx()?;
//! let copy = tx.clone();
//! # Ok(()) }
//! ```
//! and no two threads share one. They may have one of the two each.
//! ```compile_fail,E0277
//! # fn main() -> peal::Result<()> {
//! # let mut channel = peal::Channel::create(&peal::Options::new().to_guest(4096))?;
//! let tx = channel.tx()?;
//! std::thread::scope(|threads| {
//!     threads.spawn(|| tx.record_max());
//! });
//! # Ok(()) }
//! ```
//!
//! **No end outlives its channel.**
//! ```compile_fail,E0505
//! # fn main() -> peal::Result<()> {
//! # let mut channel = peal::Channel::create(&peal::Options::new().to_guest(4096))?;
//! let mut tx = channel.tx()?;
//! drop(channel);
//! tx.send(b"", 0, peal::FOREVER)?;
//! # Ok(()) }
//! ```
//!
//! **A guest is started, and waited for, while no end is in use.**
//! ```compile_fail,E0499
//! # fn main() -> peal::Result<()> {
//! # let mut channel = peal::Channel::create(&peal::Options::new().to_guest(4096))?;
//! let mut tx = channel.tx()?;
//! channel.spawn(&peal::Command::new("./plugin"))?;
//! tx.send(b"", 0, peal::FOREVER)?;
//! # Ok(()) }
//! ```
//!
//! **An end that is armed for a foreign loop is not used until it is awake again.**
//! ```compile_fail,E0499
//! # fn main() -> peal::Result<()> {
//! # let mut channel = peal::Channel::create(&peal::Options::new().to_host(4096))?;
//! let mut rx = channel.rx()?;
//! let armed = rx.arm()?;
//! rx.try_next()?;
//! drop(armed);
//! # Ok(()) }
//! ```
//!
//! **A doorbell has one that signals and one that waits.**
//! ```compile_fail,E0499
//! # fn main() -> peal::Result<()> {
//! let (mut doorbell, guest) = peal::Doorbell::create_pair()?;
//! let (mut ringer, mut waiter) = doorbell.split();
//! let (mut another, _) = doorbell.split();
//! ringer.signal()?;
//! # Ok(()) }
//! ```
//!
//! **What a poller waits for, nobody else waits for**, and no record is kept across its wait.
//! ```compile_fail,E0382
//! # fn main() -> peal::Result<()> {
//! # let mut channel = peal::Channel::create(&peal::Options::new().to_host(4096))?;
//! # let mut poller = peal::Poller::create(peal::Backend::Auto)?;
//! let mut rx = channel.rx()?;
//! let token = poller.watch_data(rx)?;
//! rx.next(peal::FOREVER)?;
//! # Ok(()) }
//! ```
//! ```compile_fail,E0499
//! # fn main() -> peal::Result<()> {
//! # let mut channel = peal::Channel::create(&peal::Options::new().to_host(4096))?;
//! # let mut poller = peal::Poller::create(peal::Backend::Auto)?;
//! # let token = poller.watch_data(channel.rx()?)?;
//! # let mut events = Vec::new();
//! let record = poller.try_next(token)?;
//! poller.wait(&mut events, peal::FOREVER)?;
//! drop(record);
//! # Ok(()) }
//! ```
//!
//! **It goes before the channels that it waits for.**
//! ```compile_fail,E0505
//! # fn main() -> peal::Result<()> {
//! # let mut channel = peal::Channel::create(&peal::Options::new().to_host(4096))?;
//! # let mut poller = peal::Poller::create(peal::Backend::Auto)?;
//! poller.watch_data(channel.rx()?)?;
//! drop(channel);
//! drop(poller);
//! # Ok(()) }
//! ```
