// SPDX-License-Identifier: MIT
use std::collections::BTreeMap;
use std::mem;
use std::os::raw::{c_int, c_void};
use std::os::unix::io::{AsFd, BorrowedFd};
use std::ptr;
use std::sync::Arc;

use crate::error::{check, Error, Result, EINVAL};
use crate::{sys, Child, Consumer, Deadline, Ended, Producer, Record, Reservation, TRY};

/// What a poller sleeps in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// io_uring, or epoll where that is refused.
    Auto,
    /// A wake and its drain are one system call.
    IoUring,
    /// epoll(7).
    Epoll,
}

/// Names one thing that a [`Poller`] waits for. None is used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(usize);

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A record, or the end: [`Poller::try_next`] says which.
    Data(Token),
    /// The room that was asked for, or the end: [`Poller::reserve_now`] says which. Told once,
    /// until [`Poller::resume`].
    Space(Token),
    /// The child has ended: [`Poller::ended`] says how. Told once.
    Child(Token),
    /// Somebody called [`Waker::wake`].
    Wake,
}

/// What a poller waited for, given back by [`Poller::remove`].
#[derive(Debug)]
pub enum Watched<'c> {
    /// For records.
    Data(Consumer<'c>),
    /// For room.
    Space(Producer<'c>),
    /// For its end.
    Child(Child),
}

/// One thread that waits for many: records, room, and the end of children.
///
/// It has what it waits for, so that nobody else waits there, and is used for that: a record that
/// it shows borrows it, and is released before the next wait.
#[derive(Debug)]
pub struct Poller<'c> {
    raw: Arc<Raw>,
    watched: BTreeMap<usize, (*mut sys::peal_watch, Watched<'c>)>,
    next: usize,
}

// SAFETY: a poller belongs to one thread at a time, to any, and so does all that it has.
unsafe impl Send for Poller<'_> {}

/// Lets a poller's wait return, from any thread.
#[derive(Clone, Debug)]
pub struct Waker(Arc<Raw>);

#[derive(Debug)]
struct Raw(*mut sys::peal_poller);

// SAFETY: what is shared is for `peal_poller_wake` alone, which any thread may call.
unsafe impl Send for Raw {}
unsafe impl Sync for Raw {}

impl Drop for Raw {
    fn drop(&mut self) {
        // SAFETY: the last who knows it; what it watched was removed.
        unsafe { sys::peal_poller_close(self.0) };
    }
}

impl Waker {
    /// Let the wait return with [`Event::Wake`]; several before it does are one.
    ///
    /// # Errors
    /// Those of the kernel.
    pub fn wake(&self) -> Result<()> {
        // SAFETY: a poller that lives.
        check(unsafe { sys::peal_poller_wake(self.0 .0) })?;
        Ok(())
    }
}

const EVENTS_MAX: usize = 64; // a wait: 1.5 KiB of stack

impl<'c> Poller<'c> {
    /// Make a poller.
    ///
    /// # Errors
    /// `EMFILE` and the like; with [`Backend::IoUring`] that of io_uring_setup(2).
    pub fn create(backend: Backend) -> Result<Poller<'c>> {
        let options = sys::peal_poller_options {
            size: mem::size_of::<sys::peal_poller_options>(),
            backend: match backend {
                Backend::Auto => sys::PEAL_POLLER_AUTO,
                Backend::IoUring => sys::PEAL_POLLER_IO_URING,
                Backend::Epoll => sys::PEAL_POLLER_EPOLL,
            },
            spin_max_us: sys::PEAL_SPIN_DEFAULT,
        };
        let mut raw = ptr::null_mut();
        // SAFETY: the options live through the call.
        check(unsafe { sys::peal_poller_create(&mut raw, &options) })?;
        Ok(Poller {
            raw: Arc::new(Raw(raw)),
            watched: BTreeMap::new(),
            next: 0,
        })
    }

    /// Wait for records; each wait reports them, as long as there are some, or the end is to be
    /// told.
    ///
    /// # Errors
    /// `EMFILE`, `ENOSPC` (epoll's limit of watches).
    pub fn watch_data(&mut self, rx: Consumer<'c>) -> Result<Token> {
        let channel = rx.channel();
        self.watch(Watched::Data(rx), |poller, user, watch| {
            // SAFETY: a channel that lives, by whose consumer nobody else waits.
            unsafe { sys::peal_poller_watch_data(poller, channel, 0, user, watch) }
        })
    }

    /// Wait for room for a record of `size` bytes.
    ///
    /// # Errors
    /// As [`watch_data`](Poller::watch_data); `EMSGSIZE` for a record that never fits.
    pub fn watch_space(&mut self, tx: Producer<'c>, size: usize) -> Result<Token> {
        let channel = tx.channel();
        self.watch(Watched::Space(tx), |poller, user, watch| {
            // SAFETY: a channel that lives, by whose producer nobody else waits.
            unsafe { sys::peal_poller_watch_space(poller, channel, size, 0, user, watch) }
        })
    }

    /// Wait for the end of a child. On failure it is ended, as always when a [`Child`] goes.
    ///
    /// # Errors
    /// As [`watch_data`](Poller::watch_data).
    pub fn watch_child(&mut self, child: Child) -> Result<Token> {
        let raw = child.as_raw();
        self.watch(Watched::Child(child), |poller, user, watch| {
            // SAFETY: a child that lives.
            unsafe { sys::peal_poller_watch_child(poller, raw, user, watch) }
        })
    }

    /// Wait until something happens. `events` is emptied first; there is one at least then.
    ///
    /// # Errors
    /// `TimedOut`, `WouldBlock`; those of the kernel.
    pub fn wait(&mut self, events: &mut Vec<Event>, deadline: impl Into<Deadline>) -> Result<()> {
        let none = sys::peal_event {
            user: ptr::null_mut(),
            watch: ptr::null_mut(),
            kind: 0,
        };
        let (mut raw, ns) = ([none; EVENTS_MAX], deadline.into().ns());
        events.clear();
        // SAFETY: a poller that lives, all whose watches do; so many events.
        let rc =
            unsafe { sys::peal_poller_wait(self.raw.0, raw.as_mut_ptr(), EVENTS_MAX as c_int, ns) };
        let count = check(rc)? as usize;
        events.extend(raw[..count].iter().map(|event| {
            let token = Token(event.user as usize);
            match event.kind {
                sys::PEAL_EVENT_DATA => Event::Data(token),
                sys::PEAL_EVENT_SPACE => Event::Space(token),
                sys::PEAL_EVENT_CHILD => Event::Child(token),
                _ => Event::Wake,
            }
        }));
        Ok(())
    }

    /// The next record of a consumer that is waited for, if there is one now.
    ///
    /// # Errors
    /// As [`Consumer::next`]; `EINVAL` when the token is of no consumer here.
    pub fn try_next(&mut self, token: Token) -> Result<Option<Record<'_>>> {
        match self.watched.get_mut(&token.0) {
            Some((_, Watched::Data(rx))) => rx.try_next(),
            _ => Err(not_here()),
        }
    }

    /// Memory for one record of up to `size` bytes, if there is room now.
    ///
    /// # Errors
    /// As [`Producer::reserve`]; `EINVAL` when the token is of no producer here.
    pub fn reserve_now(&mut self, token: Token, size: usize) -> Result<Option<Reservation<'_>>> {
        match self.watched.get_mut(&token.0) {
            Some((_, Watched::Space(tx))) => tx.reserve_now(size),
            _ => Err(not_here()),
        }
    }

    /// How a child ended.
    ///
    /// # Errors
    /// `WouldBlock` while it runs; `EINVAL` when the token is of no child here.
    pub fn ended(&mut self, token: Token) -> Result<Ended> {
        match self.watched.get_mut(&token.0) {
            Some((_, Watched::Child(child))) => child.wait(TRY),
            _ => Err(not_here()),
        }
    }

    /// Wait again for room, after it was told.
    ///
    /// # Errors
    /// `EBUSY` when it waits; `EMSGSIZE` for a record that never fits; `EINVAL` when the token is
    /// of no producer here.
    pub fn resume(&mut self, token: Token, size: usize) -> Result<()> {
        match self.watched.get(&token.0) {
            // SAFETY: a watch that lives.
            Some((watch, Watched::Space(_))) => {
                check(unsafe { sys::peal_watch_resume(*watch, size) })?;
                Ok(())
            }
            _ => Err(not_here()),
        }
    }

    /// Wait for it no longer, and have it back; `None` when the token is of nothing here.
    pub fn remove(&mut self, token: Token) -> Option<Watched<'c>> {
        let (watch, watched) = self.watched.remove(&token.0)?;
        // SAFETY: a watch that lives, until now.
        unsafe { sys::peal_watch_remove(watch) };
        Some(watched)
    }

    /// For other threads, to let the wait return.
    pub fn waker(&self) -> Waker {
        Waker(self.raw.clone())
    }

    /// Let it sleep in a foreign loop, until its descriptor is readable: true. False: there may be
    /// events; wait with [`TRY`], then arm again.
    ///
    /// # Errors
    /// Those of the kernel.
    pub fn arm(&mut self) -> Result<bool> {
        // SAFETY: a poller that lives.
        Ok(check(unsafe { sys::peal_poller_arm(self.raw.0) })? == 0)
    }

    fn watch(
        &mut self,
        what: Watched<'c>,
        how: impl FnOnce(*mut sys::peal_poller, *mut c_void, *mut *mut sys::peal_watch) -> c_int,
    ) -> Result<Token> {
        let (token, mut watch) = (self.next, ptr::null_mut());
        check(how(self.raw.0, token as *mut c_void, &mut watch))?;
        self.watched.insert(token, (watch, what));
        self.next += 1;
        Ok(Token(token))
    }
}

fn not_here() -> Error {
    Error::new(
        EINVAL,
        "the token is of nothing of this kind that the poller waits for",
    )
}

impl AsFd for Poller<'_> {
    /// Readable when an armed poller has something to do.
    fn as_fd(&self) -> BorrowedFd<'_> {
        // SAFETY: the poller's, which lives.
        unsafe { BorrowedFd::borrow_raw(sys::peal_poller_fd(self.raw.0)) }
    }
}

impl Drop for Poller<'_> {
    fn drop(&mut self) {
        for (watch, _) in self.watched.values() {
            // SAFETY: before what it watches goes, as it must be.
            unsafe { sys::peal_watch_remove(*watch) };
        }
    }
}
