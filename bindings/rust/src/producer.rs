// SPDX-License-Identifier: MIT
use std::marker::PhantomData;
use std::mem;
use std::ops::{Deref, DerefMut};
use std::os::raw::c_int;
use std::os::unix::io::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::ptr::{self, NonNull};

use crate::channel::{Channel, End};
use crate::error::{check, Result, EAGAIN};
use crate::{sys, Deadline};

/// Where this process sends. For one thread at a time, any.
#[derive(Debug)]
pub struct Producer<'c> {
    end: End<'c, sys::peal_producer>,
}

impl<'c> Producer<'c> {
    pub(crate) fn new(channel: &'c Channel) -> Result<Producer<'c>> {
        let raw = channel.as_raw();
        // SAFETY: the channel lives for 'c, and what it gives lives in it.
        unsafe { End::new(channel, sys::peal_tx(raw), sys::peal_tx_fd(raw)) }
            .map(|end| Producer { end })
    }

    /// Copy one record into the ring; waits for room.
    ///
    /// # Errors
    /// As [`reserve`](Producer::reserve) and [`Reservation::commit`].
    pub fn send(&mut self, data: &[u8], kind: u16, deadline: impl Into<Deadline>) -> Result<()> {
        let (from, ns) = (data.as_ptr().cast(), deadline.into().ns());
        // SAFETY: reads `data` up to its length.
        check(unsafe { sys::peal_send(self.as_raw(), from, data.len(), kind, ns) })?;
        Ok(())
    }

    /// Memory in the ring for one record of up to `size` bytes; waits for room.
    ///
    /// # Errors
    /// `EMSGSIZE` when there never can be room; `BrokenPipe` when the consumer is gone; `TimedOut`,
    /// `WouldBlock`; `EPROTO` when the peer broke the protocol.
    pub fn reserve(
        &mut self,
        size: usize,
        deadline: impl Into<Deadline>,
    ) -> Result<Reservation<'_>> {
        match self.try_reserve(size)? {
            Some(payload) => Ok(self.reservation(payload, size)),
            None => {
                let mut payload = ptr::null_mut();
                let (raw, ns) = (self.as_raw(), deadline.into().ns());
                // SAFETY: a producer that lives.
                check(unsafe { sys::peal_reserve_wait(raw, size, &mut payload, ns) })?;
                Ok(self.reservation(payload.cast(), size))
            }
        }
    }

    /// The same if there is room now. No system call.
    ///
    /// # Errors
    /// As [`reserve`](Producer::reserve).
    pub fn reserve_now(&mut self, size: usize) -> Result<Option<Reservation<'_>>> {
        let payload = self.try_reserve(size)?;
        Ok(payload.map(|payload| self.reservation(payload, size)))
    }

    /// Make all staged records visible.
    ///
    /// # Errors
    /// As [`Reservation::commit`].
    pub fn publish(&mut self) -> Result<()> {
        // SAFETY: a producer that lives.
        check(unsafe { sys::peal_publish(self.as_raw()) })?;
        Ok(())
    }

    /// The largest record of this ring, in bytes.
    pub fn record_max(&self) -> usize {
        // SAFETY: a producer that lives.
        unsafe { sys::peal_record_max(self.as_raw()) }
    }

    /// Announce to sleep in a foreign loop until there is room for a record of `size` bytes: `None`
    /// when there is. As [`Consumer::arm`](crate::Consumer::arm).
    ///
    /// # Errors
    /// `EMSGSIZE`, `BrokenPipe` as [`reserve`](Producer::reserve).
    pub fn arm(&mut self, size: usize) -> Result<Option<ArmedProducer<'_, 'c>>> {
        // SAFETY: a producer that lives.
        let room = check(unsafe { sys::peal_arm_space(self.as_raw(), size) })?;
        Ok(if room == 0 {
            Some(ArmedProducer { tx: self })
        } else {
            None
        })
    }

    /// The peer's pidfd, readable when it is dead, if one is known.
    pub fn peer_fd(&self) -> Option<BorrowedFd<'_>> {
        self.end.peer_fd()
    }

    /// For [`sys`].
    pub fn as_raw(&self) -> *mut sys::peal_producer {
        self.end.raw().as_ptr()
    }

    pub(crate) fn channel(&self) -> *mut sys::peal_channel {
        self.end.channel()
    }

    fn try_reserve(&mut self, size: usize) -> Result<Option<*mut u8>> {
        let mut payload = ptr::null_mut();
        // SAFETY: a producer that lives.
        match unsafe { sys::peal_reserve(self.as_raw(), size, &mut payload) } {
            rc if rc == -EAGAIN => Ok(None),
            rc => check(rc).map(|_| Some(payload.cast())),
        }
    }

    fn reservation(&mut self, payload: *mut u8, size: usize) -> Reservation<'_> {
        Reservation {
            tx: self.end.raw(),
            payload,
            size,
            ring: PhantomData,
        }
    }
}

impl AsFd for Producer<'_> {
    /// Readable when room was announced or the peer is gone; see [`arm`](Producer::arm).
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.end.fd()
    }
}

impl AsRawFd for Producer<'_> {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

/// Memory in the ring: write into it as into a slice, then commit or stage. When it goes without,
/// it is given up, and no record comes of it.
///
/// Of all processes this one alone can write here (a guest trusts its host, who made the memory),
/// so it is a slice like any other; its bytes are those of older records or 0. The peer can read
/// them at any time, though, committed or not: write nothing here that it must not see.
#[derive(Debug)]
pub struct Reservation<'a> {
    tx: NonNull<sys::peal_producer>,
    payload: *mut u8,
    size: usize,
    ring: PhantomData<&'a mut [u8]>,
}

impl Reservation<'_> {
    /// Publish the first `size` bytes, and all that is staged before them.
    ///
    /// # Errors
    /// `EINVAL` when `size` exceeds what was reserved; nothing is sent then. `BrokenPipe` and other
    /// errors of waking the consumer come after the record is published: do not send it again.
    pub fn commit(self, size: usize, kind: u16) -> Result<()> {
        self.end(sys::peal_commit, size, kind)
    }

    /// Finish the record, to be published later with others at once.
    ///
    /// # Errors
    /// `EINVAL` as [`commit`](Reservation::commit).
    pub fn stage(self, size: usize, kind: u16) -> Result<()> {
        self.end(sys::peal_stage, size, kind)
    }

    fn end(self, how: Finish, size: usize, kind: u16) -> Result<()> {
        // SAFETY: a producer that lives, with this reservation.
        check(unsafe { how(self.tx.as_ptr(), size, kind) })?;
        mem::forget(self); // nothing to give up
        Ok(())
    }
}

type Finish = unsafe extern "C" fn(*mut sys::peal_producer, usize, u16) -> c_int;

impl Deref for Reservation<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: reserved for us, mapped from the kernel (so never uninitialised), and sealed
        // against all other writers.
        unsafe { std::slice::from_raw_parts(self.payload, self.size) }
    }
}

impl DerefMut for Reservation<'_> {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above, and `self` is borrowed mutably.
        unsafe { std::slice::from_raw_parts_mut(self.payload, self.size) }
    }
}

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        // SAFETY: a producer that lives.
        unsafe { sys::peal_abort(self.tx.as_ptr()) };
    }
}

/// A producer that may sleep in a foreign loop, see [`Producer::arm`].
#[derive(Debug)]
pub struct ArmedProducer<'a, 'c> {
    tx: &'a mut Producer<'c>,
}

impl ArmedProducer<'_, '_> {
    /// As [`Producer::peer_fd`]: to sleep for, too.
    pub fn peer_fd(&self) -> Option<BorrowedFd<'_>> {
        self.tx.peer_fd()
    }
}

impl AsFd for ArmedProducer<'_, '_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.tx.as_fd()
    }
}

impl Drop for ArmedProducer<'_, '_> {
    fn drop(&mut self) {
        // SAFETY: a producer that lives. What it learned, the next call tells.
        unsafe { sys::peal_disarm_space(self.tx.as_raw()) };
    }
}
