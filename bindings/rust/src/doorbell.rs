// SPDX-License-Identifier: MIT
use std::cell::UnsafeCell;
use std::ffi::OsStr;
use std::fmt;
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::os::raw::c_int;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::io::{AsFd, AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};

use crate::child::c_text;
use crate::error::{check, check_long, Result};
use crate::{sys, Deadline, Wake};

/// What becomes of a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// The peer will wake.
    Sent,
    /// The queue is full, so a wake is pending already.
    Coalesced,
    /// Nobody is there to wake.
    PeerDead,
}

/// What a drain found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drained {
    /// At least one signal was pending and has been taken.
    pub rung: bool,
    /// The peer closed its end or died.
    pub closed: bool,
}

/// The other end of a doorbell while it is on its way to a guest: one inert descriptor, closed when
/// it goes. The host drops it once the guest was started: while this process holds it, the guest's
/// death is no hang-up.
#[derive(Debug)]
pub struct Handle(OwnedFd);

impl Handle {
    /// The argument that tells a guest of it: `--doorbell-fd=N`.
    pub fn to_arg(&self) -> String {
        format!("{}={}", sys::PEAL_DOORBELL_ARG, self.0.as_raw_fd())
    }

    /// Read `--doorbell-fd=N`, or the bare number. Strict: decimal digits only, at least 3, open.
    ///
    /// # Safety
    /// Nothing else in this process owns that descriptor: it was inherited, and is read once.
    ///
    /// # Errors
    /// `EINVAL` for a text that is no descriptor number; `ERANGE`, `EBADF`.
    pub unsafe fn from_arg(text: impl AsRef<OsStr>) -> Result<Handle> {
        let text = c_text(text.as_ref().as_bytes())?;
        let mut handle = sys::peal_doorbell_handle { fd: -1 };
        check(sys::peal_doorbell_handle_from_arg(
            &mut handle,
            text.as_ptr(),
        ))?;
        Ok(Handle(OwnedFd::from_raw_fd(handle.fd)))
    }
}

impl AsFd for Handle {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl From<OwnedFd> for Handle {
    fn from(fd: OwnedFd) -> Handle {
        Handle(fd)
    }
}

impl From<Handle> for OwnedFd {
    fn from(handle: Handle) -> OwnedFd {
        handle.0
    }
}

/// One end of a doorbell: wakes another process and is woken by it.
///
/// One thread may signal while another waits and drains: [`split`](Doorbell::split) gives each its
/// half.
pub struct Doorbell {
    raw: UnsafeCell<sys::peal_doorbell>,
    watched: Option<OwnedFd>,
}

/// The half of a [`Doorbell`] that signals.
#[derive(Debug)]
pub struct Ringer<'d>(*mut sys::peal_doorbell, PhantomData<&'d mut Doorbell>);

/// The half of a [`Doorbell`] that waits and drains.
#[derive(Debug)]
pub struct Waiter<'d>(*mut sys::peal_doorbell, PhantomData<&'d mut Doorbell>);

// SAFETY: each of the two belongs to one thread at a time, to any; what both touch is atomic.
unsafe impl Send for Ringer<'_> {}
unsafe impl Send for Waiter<'_> {}

impl Doorbell {
    /// A socket doorbell: this end, and the one for another process.
    ///
    /// # Errors
    /// `EMFILE` and the like.
    pub fn create_pair() -> Result<(Doorbell, Handle)> {
        let mut handle = sys::peal_doorbell_handle { fd: -1 };
        // SAFETY: both are written to.
        let doorbell =
            Doorbell::made(|raw| unsafe { sys::peal_doorbell_create(raw, &mut handle) })?;
        // SAFETY: made just now.
        Ok((doorbell, Handle(unsafe { OwnedFd::from_raw_fd(handle.fd) })))
    }

    /// Open the far end, in the process that received it. On failure it is closed.
    ///
    /// # Errors
    /// `ENOTSOCK`, `EPROTOTYPE`, `ENOTCONN` for what is no end of a doorbell.
    pub fn from_handle(handle: Handle) -> Result<Doorbell> {
        let fd = handle.0.as_raw_fd();
        // SAFETY: ours to give, once.
        let doorbell = Doorbell::made(|raw| unsafe { sys::peal_doorbell_from_fd_take(raw, fd) })?;
        let _ = handle.0.into_raw_fd(); // taken
        Ok(doorbell)
    }

    /// A doorbell over two eventfds: one to wait on, one to ring. On failure both are closed.
    ///
    /// # Errors
    /// `ENOTTY` for what is no eventfd.
    pub fn from_wakes(wait: Wake, signal: Wake) -> Result<Doorbell> {
        let (wait_fd, signal_fd) = (wait.as_raw_fd(), signal.as_raw_fd());
        // SAFETY: ours to give, once.
        let doorbell = Doorbell::made(|raw| unsafe {
            sys::peal_doorbell_from_wakes_take(raw, wait_fd, signal_fd)
        })?;
        for taken in [wait, signal] {
            let _ = OwnedFd::from(taken).into_raw_fd();
        }
        Ok(doorbell)
    }

    /// From now on this pidfd becoming readable means that the peer is dead.
    pub fn watch(&mut self, pidfd: OwnedFd) {
        // SAFETY: kept open for as long as it is watched.
        unsafe { sys::peal_doorbell_watch(self.raw.get(), pidfd.as_raw_fd()) };
        self.watched = Some(pidfd);
    }

    /// Its two halves, for two threads.
    pub fn split(&mut self) -> (Ringer<'_>, Waiter<'_>) {
        (
            Ringer(self.raw.get(), PhantomData),
            Waiter(self.raw.get(), PhantomData),
        )
    }

    /// See [`Ringer::signal`].
    ///
    /// # Errors
    /// As there.
    pub fn signal(&mut self) -> Result<Signal> {
        self.split().0.signal()
    }

    /// See [`Waiter::wait`].
    ///
    /// # Errors
    /// As there.
    pub fn wait(&mut self, deadline: impl Into<Deadline>) -> Result<()> {
        self.split().1.wait(deadline)
    }

    /// See [`Waiter::drain`].
    ///
    /// # Errors
    /// As there.
    pub fn drain(&mut self) -> Result<Drained> {
        self.split().1.drain()
    }

    /// Exactly how many signals are queued for this end.
    ///
    /// # Errors
    /// Those of the kernel; an eventfd's count is read from `/proc`.
    pub fn pending(&self) -> Result<u64> {
        // SAFETY: an open doorbell.
        check_long(unsafe { sys::peal_doorbell_pending(self.raw.get()) })
    }

    /// Has any call on this end learned that the peer is gone?
    pub fn is_dead(&self) -> bool {
        // SAFETY: an open doorbell.
        unsafe { sys::peal_doorbell_is_dead(self.raw.get()) }
    }

    /// `how` makes a doorbell at the place that it is given, or fails.
    fn made(how: impl FnOnce(*mut sys::peal_doorbell) -> c_int) -> Result<Doorbell> {
        let mut raw = MaybeUninit::uninit();
        check(how(raw.as_mut_ptr()))?;
        // SAFETY: filled when there is no error.
        Ok(Doorbell {
            raw: UnsafeCell::new(unsafe { raw.assume_init() }),
            watched: None,
        })
    }
}

impl Ringer<'_> {
    /// Wake the peer. Never blocks over a socket.
    ///
    /// # Errors
    /// `ENOMEM`, `ENOBUFS` when nothing was queued. The peer's death is no error, but an answer.
    pub fn signal(&mut self) -> Result<Signal> {
        // SAFETY: an open doorbell, whose signalling half we are.
        Ok(match check(unsafe { sys::peal_doorbell_signal(self.0) })? {
            sys::PEAL_SIGNAL_SENT => Signal::Sent,
            sys::PEAL_SIGNAL_COALESCED => Signal::Coalesced,
            _ => Signal::PeerDead,
        })
    }
}

impl Waiter<'_> {
    /// Sleep until rung; a signal sent before ends it at once. Takes nothing:
    /// [`drain`](Waiter::drain) does.
    ///
    /// # Errors
    /// `BrokenPipe` when the peer is dead and nothing is pending; `TimedOut`, `WouldBlock`.
    pub fn wait(&mut self, deadline: impl Into<Deadline>) -> Result<()> {
        // SAFETY: an open doorbell, whose waiting half we are.
        check(unsafe { sys::peal_doorbell_wait(self.0, deadline.into().ns()) })?;
        Ok(())
    }

    /// Take what is pending, in one bounded read.
    ///
    /// # Errors
    /// Those of the kernel.
    pub fn drain(&mut self) -> Result<Drained> {
        // SAFETY: an open doorbell, whose waiting half we are.
        let found = check(unsafe { sys::peal_doorbell_drain(self.0) })?;
        Ok(Drained {
            rung: found & sys::PEAL_DRAIN_RUNG != 0,
            closed: found & sys::PEAL_DRAIN_CLOSED != 0,
        })
    }
}

impl AsFd for Doorbell {
    /// Readable when rung, or when the peer is gone.
    fn as_fd(&self) -> BorrowedFd<'_> {
        // SAFETY: the doorbell's, which is open for as long as it lives.
        unsafe { BorrowedFd::borrow_raw(sys::peal_doorbell_fd(self.raw.get())) }
    }
}

impl AsRawFd for Doorbell {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

impl fmt::Debug for Doorbell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Doorbell on descriptor {}", self.as_raw_fd())
    }
}

impl Drop for Doorbell {
    fn drop(&mut self) {
        // SAFETY: ours, and nothing borrows it.
        unsafe { sys::peal_doorbell_close(self.raw.get()) };
    }
}
