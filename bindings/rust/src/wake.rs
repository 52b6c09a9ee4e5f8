// SPDX-License-Identifier: MIT
use std::os::unix::io::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use crate::error::{check, check_long, Result};
use crate::sys;

/// A wake signal: an eventfd that counts notifications. For any number of threads.
#[derive(Debug)]
pub struct Wake(OwnedFd);

/// The two directions between a producer and a consumer.
#[derive(Debug)]
pub struct WakePair {
    /// The consumer notifies it, the producer waits on it: "space".
    pub producer_wake: Wake,
    /// The producer notifies it, the consumer waits on it: "data".
    pub consumer_wake: Wake,
}

impl Wake {
    /// Non-blocking and close-on-exec.
    ///
    /// # Errors
    /// `EMFILE` and the like.
    pub fn create() -> Result<Wake> {
        // SAFETY: a descriptor that was made just now is nobody else's.
        Ok(unsafe { Wake(OwnedFd::from_raw_fd(check(sys::peal_wake_create())?)) })
    }

    /// Make both signals.
    ///
    /// # Errors
    /// `EMFILE` and the like.
    pub fn create_pair() -> Result<WakePair> {
        Ok(WakePair {
            producer_wake: Wake::create()?,
            consumer_wake: Wake::create()?,
        })
    }

    /// Add one to the count. That it is saturated is no error: a wake is pending then.
    ///
    /// # Errors
    /// Those of write(2).
    pub fn notify(&self) -> Result<()> {
        // SAFETY: an open descriptor.
        check(unsafe { sys::peal_wake_notify(self.as_raw_fd()) })?;
        Ok(())
    }

    /// Take all pending notifications: how many, 0 when none was.
    ///
    /// # Errors
    /// Those of read(2).
    pub fn try_read(&self) -> Result<u64> {
        // SAFETY: an open descriptor.
        check_long(unsafe { sys::peal_wake_try_read(self.as_raw_fd()) })
    }
}

impl AsFd for Wake {
    /// Readable while a notification is pending.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsRawFd for Wake {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

impl From<OwnedFd> for Wake {
    /// Not checked: what is no eventfd answers with errors.
    fn from(fd: OwnedFd) -> Wake {
        Wake(fd)
    }
}

impl From<Wake> for OwnedFd {
    fn from(wake: Wake) -> OwnedFd {
        wake.0
    }
}
