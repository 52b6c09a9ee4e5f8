// SPDX-License-Identifier: MIT
use std::ffi::CStr;
use std::fmt;
use std::io;
use std::os::raw::{c_char, c_int};

use crate::sys;

/// What a call returns that can fail.
pub type Result<T> = std::result::Result<T, Error>;

/// An errno, and the library's sentence: what was wrong and what was expected.
///
/// [`kind()`](Error::kind) tells the frequent ones apart: `BrokenPipe` (the peer is gone and all is
/// read), `TimedOut`, `WouldBlock` (with [`TRY`](crate::TRY)). `?` turns it into an [`io::Error`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    errno: i32,
    sentence: String,
}

pub(crate) const EAGAIN: i32 = 11;
pub(crate) const EBUSY: i32 = 16;
pub(crate) const EINVAL: i32 = 22;
pub(crate) const EPIPE: i32 = 32;
pub(crate) const ETIMEDOUT: i32 = 110;

impl Error {
    pub(crate) fn new(errno: i32, sentence: &str) -> Error {
        Error {
            errno,
            sentence: sentence.into(),
        }
    }

    /// Of the call that just failed in this thread with `-errno`.
    fn last(errno: i32) -> Error {
        match errno {
            // SAFETY: a text that ends, and stays.
            EAGAIN | ETIMEDOUT => unsafe {
                Error::of(errno, sys::peal_strerror(errno)) // answers: they write no sentence
            },
            _ => Error::told(errno),
        }
    }

    /// The same of a call that has written its sentence, whatever the errno.
    fn told(errno: i32) -> Error {
        // SAFETY: a text that ends, and stays until this thread's next failing call.
        unsafe { Error::of(errno, sys::peal_last_error()) }
    }

    /// # Safety
    /// A text that ends.
    unsafe fn of(errno: i32, text: *const c_char) -> Error {
        Error::new(errno, &CStr::from_ptr(text).to_string_lossy())
    }

    /// The errno, positive.
    pub fn errno(&self) -> i32 {
        self.errno
    }

    /// The kind that the standard library has for this errno.
    pub fn kind(&self) -> io::ErrorKind {
        io::Error::from_raw_os_error(self.errno).kind()
    }

    /// Is the peer gone? From a consumer it comes after the last record.
    pub fn is_peer_gone(&self) -> bool {
        self.errno == EPIPE
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentence)
    }
}

impl std::error::Error for Error {}

impl From<Error> for io::Error {
    fn from(error: Error) -> io::Error {
        io::Error::new(error.kind(), error)
    }
}

/// 0 or a positive result, or the error of a call that was made just now.
#[inline]
pub(crate) fn check(rc: c_int) -> Result<c_int> {
    if rc < 0 {
        Err(Error::last(-rc))
    } else {
        Ok(rc)
    }
}

/// The same of a call that waits for nobody: `EAGAIN` is a failure there, with a sentence of its own.
pub(crate) fn check_told(rc: c_int) -> Result<c_int> {
    if rc < 0 {
        Err(Error::told(-rc))
    } else {
        Ok(rc)
    }
}

/// As [`check`], for a 64-bit result.
#[inline]
pub(crate) fn check_long(rc: i64) -> Result<u64> {
    u64::try_from(rc).map_err(|_| Error::last(-rc as i32))
}
