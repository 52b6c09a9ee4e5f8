// SPDX-License-Identifier: MIT
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::ops::Deref;
use std::os::unix::io::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::ptr::NonNull;

use crate::channel::{Channel, End};
use crate::error::{check, check_long, Result};
use crate::view::View;
use crate::{sys, Deadline};

/// Where this process receives. For one thread at a time, any.
#[derive(Debug)]
pub struct Consumer<'c> {
    end: End<'c, sys::peal_consumer>,
}

impl<'c> Consumer<'c> {
    pub(crate) fn new(channel: &'c Channel) -> Result<Consumer<'c>> {
        let raw = channel.as_raw();
        // SAFETY: the channel lives for 'c, and what it gives lives in it.
        unsafe { End::new(channel, sys::peal_rx(raw), sys::peal_rx_fd(raw)) }
            .map(|end| Consumer { end })
    }

    /// The next record, in place; waits for it.
    ///
    /// It is released when it goes. Until then there is no other: this borrows the consumer.
    ///
    /// # Errors
    /// `BrokenPipe` when the producer is gone and all is read; `TimedOut`, `WouldBlock`; `EPROTO`
    /// when the peer broke the protocol.
    pub fn next(&mut self, deadline: impl Into<Deadline>) -> Result<Record<'_>> {
        let raw = self.wait(deadline.into())?;
        Ok(self.record(raw))
    }

    /// The next record if there is one now. No system call.
    ///
    /// # Errors
    /// As [`next`](Consumer::next).
    pub fn try_next(&mut self) -> Result<Option<Record<'_>>> {
        let raw = self.look()?;
        Ok(raw.map(|raw| self.record(raw)))
    }

    /// Wait for a record, then look at all that are there, and release them together.
    ///
    /// # Errors
    /// As [`next`](Consumer::next).
    pub fn batch(&mut self, deadline: impl Into<Deadline>) -> Result<Batch<'_>> {
        let first = self.wait(deadline.into())?;
        Ok(Batch {
            rx: Held(self.end.raw(), PhantomData),
            first: Some(first),
            error: None,
        })
    }

    /// Copy the next record out and release it: its size and type.
    ///
    /// # Errors
    /// As [`next`](Consumer::next); `EMSGSIZE` when the record is larger than `buffer`: it stays.
    pub fn recv(
        &mut self,
        buffer: &mut [u8],
        deadline: impl Into<Deadline>,
    ) -> Result<(usize, u16)> {
        let (data, mut kind) = (buffer.as_mut_ptr().cast(), 0);
        // SAFETY: the buffer is ours, and written up to its length.
        let rc = unsafe {
            sys::peal_recv(
                self.as_raw(),
                data,
                buffer.len(),
                &mut kind,
                deadline.into().ns(),
            )
        };
        Ok((check_long(rc)? as usize, kind))
    }

    /// Announce to sleep in a foreign loop: `None` when there is a record, so do not sleep.
    ///
    /// While the answer lives, sleep until its descriptor, or [`peer_fd`](ArmedConsumer::peer_fd), is
    /// readable, level- or edge-triggered. When it goes, this end is awake again and its bells are
    /// taken.
    ///
    /// # Errors
    /// `BrokenPipe` when there is no record and the producer has closed or is known to be gone.
    pub fn arm(&mut self) -> Result<Option<ArmedConsumer<'_, 'c>>> {
        // SAFETY: a consumer that lives.
        let found = check(unsafe { sys::peal_arm_data(self.as_raw()) })?;
        Ok(if found == 0 {
            Some(ArmedConsumer { rx: self })
        } else {
            None
        })
    }

    /// The peer's pidfd, readable when it is dead, if one is known.
    pub fn peer_fd(&self) -> Option<BorrowedFd<'_>> {
        self.end.peer_fd()
    }

    /// For [`sys`].
    pub fn as_raw(&self) -> *mut sys::peal_consumer {
        self.end.raw().as_ptr()
    }

    pub(crate) fn channel(&self) -> *mut sys::peal_channel {
        self.end.channel()
    }

    fn look(&mut self) -> Result<Option<sys::peal_record>> {
        // SAFETY: a consumer that lives.
        unsafe { look(self.end.raw()) }
    }

    fn wait(&mut self, deadline: Deadline) -> Result<sys::peal_record> {
        if let Some(record) = self.look()? {
            return Ok(record);
        }
        let mut record = MaybeUninit::uninit();
        // SAFETY: filled when there is no error.
        unsafe {
            check(sys::peal_next_wait(
                self.as_raw(),
                record.as_mut_ptr(),
                deadline.ns(),
            ))?;
            Ok(record.assume_init())
        }
    }

    fn record(&mut self, raw: sys::peal_record) -> Record<'_> {
        let held = Held(self.end.raw(), PhantomData);
        // SAFETY: released when `held` goes, which is not before the view.
        Record {
            view: unsafe { View::new(&raw) },
            _held: held,
        }
    }
}

/// # Safety
/// A consumer that lives, and that nobody else uses.
unsafe fn look(rx: NonNull<sys::peal_consumer>) -> Result<Option<sys::peal_record>> {
    let mut record = MaybeUninit::uninit();
    let found = check(sys::peal_next(rx.as_ptr(), record.as_mut_ptr()))?;
    Ok(if found == 1 {
        Some(record.assume_init())
    } else {
        None
    })
}

impl AsFd for Consumer<'_> {
    /// Readable when data was announced or the peer is gone; see [`arm`](Consumer::arm).
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.end.fd()
    }
}

impl AsRawFd for Consumer<'_> {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

/// Records that are handed out: released when it goes.
#[derive(Debug)]
struct Held<'a>(NonNull<sys::peal_consumer>, PhantomData<&'a mut ()>);

impl Drop for Held<'_> {
    fn drop(&mut self) {
        // SAFETY: the consumer lives. A producer that could not be woken is told by the next call.
        unsafe { sys::peal_release(self.0.as_ptr()) };
    }
}

/// A record in the ring, released when it goes; reads as a [`View`].
#[derive(Debug)]
pub struct Record<'a> {
    view: View<'a>,
    _held: Held<'a>,
}

impl<'a> Deref for Record<'a> {
    type Target = View<'a>;

    fn deref(&self) -> &View<'a> {
        &self.view
    }
}

/// All records that are there, to be released together; iterate over `&mut batch`.
#[derive(Debug)]
pub struct Batch<'a> {
    rx: Held<'a>,
    first: Option<sys::peal_record>,
    error: Option<crate::Error>,
}

impl Batch<'_> {
    /// Release the records. Fails when looking for more ended otherwise than by an empty ring: with
    /// `BrokenPipe` the producer is gone and all is read.
    ///
    /// # Errors
    /// As [`Consumer::next`].
    pub fn finish(mut self) -> Result<()> {
        self.error.take().map_or(Ok(()), Err)
    }
}

impl<'b> IntoIterator for &'b mut Batch<'_> {
    type Item = View<'b>;
    type IntoIter = Records<'b>;

    fn into_iter(self) -> Records<'b> {
        Records {
            rx: self.rx.0,
            first: &mut self.first,
            error: &mut self.error,
        }
    }
}

/// The records of a [`Batch`], which outlives them.
#[derive(Debug)]
pub struct Records<'b> {
    rx: NonNull<sys::peal_consumer>,
    first: &'b mut Option<sys::peal_record>,
    error: &'b mut Option<crate::Error>,
}

impl<'b> Iterator for Records<'b> {
    type Item = View<'b>;

    fn next(&mut self) -> Option<View<'b>> {
        if self.error.is_some() {
            return None;
        }
        // SAFETY: the batch holds the consumer, and what is handed out, for longer than 'b.
        let raw = self
            .first
            .take()
            .map_or_else(|| unsafe { look(self.rx) }, |raw| Ok(Some(raw)));
        match raw {
            Ok(raw) => raw.map(|raw| unsafe { View::new(&raw) }),
            Err(error) => {
                *self.error = Some(error);
                None
            }
        }
    }
}

/// A consumer that may sleep in a foreign loop, see [`Consumer::arm`].
#[derive(Debug)]
pub struct ArmedConsumer<'a, 'c> {
    rx: &'a mut Consumer<'c>,
}

impl ArmedConsumer<'_, '_> {
    /// As [`Consumer::peer_fd`]: to sleep for, too.
    pub fn peer_fd(&self) -> Option<BorrowedFd<'_>> {
        self.rx.peer_fd()
    }
}

impl AsFd for ArmedConsumer<'_, '_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.rx.as_fd()
    }
}

impl Drop for ArmedConsumer<'_, '_> {
    fn drop(&mut self) {
        // SAFETY: a consumer that lives. What it learned, the next call tells.
        unsafe { sys::peal_disarm_data(self.rx.as_raw()) };
    }
}
