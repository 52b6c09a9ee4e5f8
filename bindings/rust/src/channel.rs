// SPDX-License-Identifier: MIT
use std::ffi::CStr;
use std::marker::PhantomData;
use std::mem;
use std::os::unix::io::{BorrowedFd, RawFd};
use std::ptr::{self, NonNull};
use std::time::Duration;

use crate::child::{c_text, Child, Command};
use crate::error::{check, Error, Result, EINVAL};
use crate::{sys, Consumer, Producer};

/// What a channel is to be like.
#[derive(Clone, Debug, Default)]
pub struct Options {
    to_guest: u64,
    to_host: u64,
    align: u32,
    doorbell: u32,
    flags: u32,
    spin_max_us: i32,
    name: String,
}

/// How the two sides wake each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DoorbellKind {
    /// For any guest.
    Socket,
    /// Cheaper; only for a guest that is trusted.
    Eventfd,
}

impl Options {
    /// No ring yet.
    pub fn new() -> Options {
        Options::default()
    }

    /// The capacity of the ring to the guest in bytes; 0: no such ring.
    pub fn to_guest(mut self, capacity: u64) -> Options {
        self.to_guest = capacity;
        self
    }

    /// The capacity of the ring to the host in bytes; 0: no such ring.
    pub fn to_host(mut self, capacity: u64) -> Options {
        self.to_host = capacity;
        self
    }

    /// The alignment of records: 8, or 64 for payloads on cache lines.
    pub fn align(mut self, bytes: u32) -> Options {
        self.align = bytes;
        self
    }

    /// How the two sides wake each other.
    pub fn doorbell(mut self, kind: DoorbellKind) -> Options {
        self.doorbell = match kind {
            DoorbellKind::Socket => sys::PEAL_DOORBELL_SOCKET,
            DoorbellKind::Eventfd => sys::PEAL_DOORBELL_EVENTFD,
        };
        self
    }

    /// Do without membarrier(2), see `PEAL_CHANNEL_NO_MEMBARRIER`.
    pub fn without_membarrier(mut self) -> Options {
        self.flags |= sys::PEAL_CHANNEL_NO_MEMBARRIER;
        self
    }

    /// The longest spin before sleeping; zero: never spin.
    pub fn spin_at_most(mut self, spin: Duration) -> Options {
        self.spin_max_us = spin_us(spin);
        self
    }

    /// For people who look at the process; up to 31 bytes.
    pub fn name(mut self, name: &str) -> Options {
        self.name = name.into();
        self
    }

    fn raw(&self, name: &CStr) -> sys::peal_channel_options {
        sys::peal_channel_options {
            size: mem::size_of::<sys::peal_channel_options>(),
            to_guest: self.to_guest,
            to_host: self.to_host,
            align: self.align,
            doorbell: self.doorbell,
            flags: self.flags,
            spin_max_us: self.spin_max_us,
            name: name.as_ptr(),
        }
    }
}

pub(crate) fn spin_us(spin: Duration) -> i32 {
    if spin.is_zero() {
        return sys::PEAL_SPIN_NEVER;
    }
    i32::try_from(spin.as_micros()).unwrap_or(i32::MAX).max(1)
}

/// Two processes, joined by up to two rings. Closed when it goes; the peer still gets all that was
/// committed.
///
/// Its ends borrow it: while a [`Producer`] or a [`Consumer`] is in use, by whatever thread, the
/// channel can neither be closed nor spawned on.
#[derive(Debug)]
pub struct Channel {
    raw: NonNull<sys::peal_channel>,
}

// SAFETY: a channel belongs to one thread at a time, to any.
unsafe impl Send for Channel {}

/// How the peer fares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// Not attached yet.
    Absent,
    /// Attached, as far as known.
    Attached,
    /// It closed its end in good order, by its own claim.
    Closed,
    /// It is gone without having closed, by the kernel's word.
    Dead,
}

impl Channel {
    /// Make a channel, as its host.
    ///
    /// # Errors
    /// `EINVAL` for options that make no sense; `ENOMEM`, `EMFILE` and the like.
    pub fn create(options: &Options) -> Result<Channel> {
        let name = c_text(&*options.name)?;
        let raw_options = options.raw(&name);
        let mut raw = ptr::null_mut();
        // SAFETY: the options and what they point to live through the call.
        check(unsafe { sys::peal_channel_create(&mut raw, &raw_options) })?;
        // SAFETY: made just now.
        Ok(unsafe { Channel::from_raw(raw) })
    }

    /// Start a program as the guest of this channel; see [`Child::wait_ready`].
    ///
    /// # Errors
    /// The exec's own (`NotFound`, `PermissionDenied`); `EBUSY` when the channel has a guest.
    pub fn spawn(&mut self, command: &Command) -> Result<Child> {
        command.start(&mut |child, argv, options| {
            // SAFETY: argv and options live through the call.
            unsafe { sys::peal_spawn(child, self.raw.as_ptr(), argv, options) }
        })
    }

    /// This side's producer.
    ///
    /// # Errors
    /// `EINVAL` when the channel has no ring that way.
    pub fn tx(&mut self) -> Result<Producer<'_>> {
        Producer::new(self)
    }

    /// This side's consumer.
    ///
    /// # Errors
    /// `EINVAL` when the channel has no ring that way.
    pub fn rx(&mut self) -> Result<Consumer<'_>> {
        Consumer::new(self)
    }

    /// Both ends at once, for one thread or two.
    ///
    /// # Errors
    /// `EINVAL` when the channel has one ring only.
    pub fn split(&mut self) -> Result<(Producer<'_>, Consumer<'_>)> {
        Ok((Producer::new(self)?, Consumer::new(self)?))
    }

    /// How the peer fares; asks the kernel.
    pub fn peer(&self) -> Peer {
        // SAFETY: a channel that lives.
        match unsafe { sys::peal_channel_peer(self.as_raw()) } {
            sys::PEAL_PEER_ABSENT => Peer::Absent,
            sys::PEAL_PEER_ATTACHED => Peer::Attached,
            sys::PEAL_PEER_CLOSED => Peer::Closed,
            _ => Peer::Dead,
        }
    }

    /// What this side did at both rings, and what the peer claims to have done.
    pub fn stats(&self) -> (sys::peal_side_stats, sys::peal_side_stats) {
        let (mut own, mut peer) = Default::default();
        // SAFETY: a channel that lives.
        unsafe { sys::peal_channel_stats(self.as_raw(), &mut own, &mut peer) };
        (own, peer)
    }

    /// For [`sys`].
    pub fn as_raw(&self) -> *mut sys::peal_channel {
        self.raw.as_ptr()
    }

    /// A channel that was made by [`sys`].
    ///
    /// # Safety
    /// It is open, and from now on nobody else uses or closes it.
    pub unsafe fn from_raw(raw: *mut sys::peal_channel) -> Channel {
        Channel {
            raw: NonNull::new(raw).expect("a channel"),
        }
    }
}

impl Drop for Channel {
    fn drop(&mut self) {
        // SAFETY: ours, and nothing borrows it.
        unsafe { sys::peal_channel_close(self.as_raw()) };
    }
}

/// What producer and consumer have in common: one thread at a time, and not beyond the channel.
#[derive(Debug)]
pub(crate) struct End<'c, T> {
    raw: NonNull<T>,
    fd: RawFd,
    peer_fd: RawFd,
    channel: *mut sys::peal_channel,
    borrowed: PhantomData<&'c mut Channel>,
}

// SAFETY: each end belongs to one thread at a time, to any; the two do not share what they write.
unsafe impl<T> Send for End<'_, T> {}

impl<'c, T> End<'c, T> {
    /// # Safety
    /// `raw` is null or the end of `channel` whose descriptor is `fd`, and used by nobody else.
    pub(crate) unsafe fn new(channel: &'c Channel, raw: *mut T, fd: RawFd) -> Result<End<'c, T>> {
        let raw = NonNull::new(raw)
            .ok_or_else(|| Error::new(EINVAL, "the channel has no ring in this direction"))?;
        let peer_fd = sys::peal_channel_peer_fd(channel.as_raw());
        Ok(End {
            raw,
            fd,
            peer_fd,
            channel: channel.as_raw(),
            borrowed: PhantomData,
        })
    }

    pub(crate) fn raw(&self) -> NonNull<T> {
        self.raw
    }

    pub(crate) fn channel(&self) -> *mut sys::peal_channel {
        self.channel
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        // SAFETY: the channel's, which lives and stays open.
        unsafe { BorrowedFd::borrow_raw(self.fd) }
    }

    pub(crate) fn peer_fd(&self) -> Option<BorrowedFd<'_>> {
        // SAFETY: as above; it changes by spawning only, which needs the channel itself.
        (self.peer_fd >= 0).then(|| unsafe { BorrowedFd::borrow_raw(self.peer_fd) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_sees_from_outside_is_passed_on() {
        let raw = |options: Options| options.raw(Default::default());
        assert_eq!(raw(Options::new()).flags, 0);
        assert_eq!(raw(Options::new()).spin_max_us, sys::PEAL_SPIN_DEFAULT);
        let flags = raw(Options::new().without_membarrier()).flags;
        assert_eq!(flags, sys::PEAL_CHANNEL_NO_MEMBARRIER);
        let spin = |us| raw(Options::new().spin_at_most(Duration::from_micros(us))).spin_max_us;
        assert_eq!((spin(0), spin(70)), (sys::PEAL_SPIN_NEVER, 70));
        assert_eq!(spin(u64::MAX / 1000), i32::MAX);
        assert_eq!(spin_us(Duration::from_nanos(1)), 1);
    }
}
