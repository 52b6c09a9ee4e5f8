// SPDX-License-Identifier: MIT
use std::ffi::{CString, OsString};
use std::mem;
use std::os::unix::ffi::OsStringExt;
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::channel::spin_us;
use crate::child::{c_text, pointers};
use crate::error::{check, Error, Result, EBUSY};
use crate::{sys, Channel};

/// Become the guest of the channel on this program's command line. Gives the channel, and the
/// arguments that are not Peal's. Once in a process, first thing in `main`.
///
/// # Errors
/// `NotFound` when the command line names no channel; see `peal_attach_args()`.
pub fn attach() -> Result<(Channel, Vec<OsString>)> {
    Attach::new().from_command_line()
}

/// How to attach.
#[derive(Clone, Debug, Default)]
pub struct Attach {
    flags: u32,
    spin_max_us: i32,
}

impl Attach {
    /// The defaults.
    pub fn new() -> Attach {
        Attach::default()
    }

    /// Do without membarrier(2): for a guest that will enter a filter which forbids it.
    pub fn without_membarrier(mut self) -> Attach {
        self.flags |= sys::PEAL_CHANNEL_NO_MEMBARRIER;
        self
    }

    /// The longest spin before sleeping; zero: never spin.
    pub fn spin_at_most(mut self, spin: Duration) -> Attach {
        self.spin_max_us = spin_us(spin);
        self
    }

    /// As [`attach`].
    ///
    /// The command line is the parent's word that these descriptors are this program's, as 0, 1 and
    /// 2 are. They are so once: a second channel from the same words is refused.
    ///
    /// # Errors
    /// As [`attach`]; `EBUSY` when the command line's channel was taken before.
    pub fn from_command_line(self) -> Result<(Channel, Vec<OsString>)> {
        static TAKEN: AtomicBool = AtomicBool::new(false);

        if TAKEN.swap(true, Ordering::Relaxed) {
            return Err(Error::new(
                EBUSY,
                "the channel of the command line was taken before",
            ));
        }
        // SAFETY: inherited, and named here for the first time.
        let attached = unsafe { self.from_args(std::env::args_os().collect()) };
        TAKEN.store(attached.is_ok(), Ordering::Relaxed);
        attached
    }

    /// The same with other words; the first is the program's name.
    ///
    /// # Safety
    /// Nothing else in this process owns the descriptors that they name.
    ///
    /// # Errors
    /// As [`attach`].
    pub unsafe fn from_args(self, args: Vec<OsString>) -> Result<(Channel, Vec<OsString>)> {
        let args = args.into_iter().map(|arg| c_text(arg.into_vec()));
        let args = args.collect::<Result<Vec<CString>>>()?;
        let mut argv = pointers(&args);
        let mut argc = args.len().try_into().expect("a command line");
        let options = sys::peal_attach_options {
            size: mem::size_of::<sys::peal_attach_options>(),
            flags: self.flags,
            spin_max_us: self.spin_max_us,
        };
        let mut raw = ptr::null_mut();
        check(sys::peal_attach_args(
            &mut raw,
            &mut argc,
            argv.as_mut_ptr(),
            &options,
        ))?;
        argv.truncate(argc as usize);
        let left = args
            .iter()
            .filter(|arg| argv.contains(&(arg.as_ptr() as *mut _)));
        let left = left
            .map(|arg| OsString::from_vec(arg.as_bytes().to_vec()))
            .collect();
        Ok((Channel::from_raw(raw), left))
    }
}
