// SPDX-License-Identifier: MIT
use std::collections::BTreeMap;
use std::ffi::{CString, OsStr, OsString};
use std::fmt;
use std::mem;
use std::os::raw::{c_char, c_int, c_void};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::io::{AsFd, AsRawFd, BorrowedFd};
use std::ptr::{self, NonNull};

use crate::error::{check, check_told, Error, Result, EINVAL};
use crate::{sys, Channel, Deadline};

/// A text for C: without a zero byte.
pub(crate) fn c_text(text: impl Into<Vec<u8>>) -> Result<CString> {
    CString::new(text).map_err(|error| {
        let text = String::from_utf8_lossy(&error.into_vec()).replace('\0', "\\0");
        Error::new(EINVAL, &format!("'{text}' has a zero byte in it"))
    })
}

/// As C has lists of texts: with a null at the end.
pub(crate) fn pointers(texts: &[CString]) -> Vec<*mut c_char> {
    let texts = texts.iter().map(|text| text.as_ptr() as *mut c_char);
    texts.chain([ptr::null_mut()]).collect()
}

/// A program to start.
#[derive(Clone, Debug)]
pub struct Command {
    argv: Vec<OsString>,
    env: Option<BTreeMap<OsString, OsString>>,
    flags: u32,
    rlimits: Vec<sys::peal_rlimit>,
    pre_exec: Option<(sys::peal_pre_exec, *mut c_void)>,
}

impl Command {
    /// A program; without a slash it is looked for in `PATH`.
    pub fn new(program: impl AsRef<OsStr>) -> Command {
        Command {
            argv: vec![program.as_ref().into()],
            env: None,
            flags: 0,
            rlimits: Vec::new(),
            pre_exec: None,
        }
    }

    /// One more argument.
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Command {
        self.argv.push(arg.as_ref().into());
        self
    }

    /// An environment of its own, instead of this process's.
    pub fn envs<K: Into<OsString>, V: Into<OsString>>(
        mut self,
        vars: impl IntoIterator<Item = (K, V)>,
    ) -> Command {
        self.env = Some(
            vars.into_iter()
                .map(|(key, value)| (key.into(), value.into()))
                .collect(),
        );
        self
    }

    /// Have it killed when the *thread* that starts it ends.
    pub fn die_with_parent(mut self) -> Command {
        self.flags |= sys::PEAL_SPAWN_DIE_WITH_PARENT;
        self
    }

    /// It and all it starts can gain no privileges by exec.
    pub fn no_new_privs(mut self) -> Command {
        self.flags |= sys::PEAL_SPAWN_NO_NEW_PRIVS;
        self
    }

    /// A resource limit, as for setrlimit(2).
    pub fn rlimit(mut self, resource: i32, soft: u64, hard: u64) -> Command {
        let limit = sys::rlimit {
            rlim_cur: soft,
            rlim_max: hard,
        };
        self.rlimits.push(sys::peal_rlimit { resource, limit });
        self
    }

    /// Call this in the child just before exec, to enter a sandbox for one.
    ///
    /// # Safety
    /// It runs in the parent's memory: async-signal-safe calls only, no allocation, no panic, and
    /// nothing that changes what the parent reads. `data` is valid whenever the program is started.
    pub unsafe fn pre_exec(mut self, hook: sys::peal_pre_exec, data: *mut c_void) -> Command {
        self.pre_exec = Some((hook, data));
        self
    }

    /// Start it without a channel. `NAME=N` is appended to its arguments for each descriptor, N
    /// being its number; it inherits these and no other that is close-on-exec.
    ///
    /// # Errors
    /// The exec's own; see `peal_spawn_fds()`.
    pub fn spawn_fds(&self, fds: &[(&str, BorrowedFd<'_>)]) -> Result<Child> {
        let names = fds
            .iter()
            .map(|(name, _)| c_text(*name))
            .collect::<Result<Vec<CString>>>()?;
        let of = |(name, (_, fd)): (&CString, &(&str, BorrowedFd<'_>))| sys::peal_spawn_fd {
            arg: name.as_ptr(),
            fd: fd.as_raw_fd(),
        };
        let raw: Vec<_> = names.iter().zip(fds).map(of).collect();
        self.start(&mut |child, argv, options| {
            // SAFETY: all lists and texts live through the call.
            unsafe { sys::peal_spawn_fds(child, argv, raw.as_ptr(), raw.len(), options) }
        })
    }

    pub(crate) fn start(&self, how: &mut Start<'_>) -> Result<Child> {
        let argv = self.argv.iter().map(|arg| c_text(arg.as_bytes()));
        let argv = argv.collect::<Result<Vec<CString>>>()?;
        let env = self
            .env
            .iter()
            .flatten()
            .map(|(key, value)| c_text([key.as_bytes(), b"=", value.as_bytes()].concat()));
        let env = env.collect::<Result<Vec<CString>>>()?;
        let envp = pointers(&env);
        let (pre_exec, pre_exec_data) = self
            .pre_exec
            .map_or((None, ptr::null_mut()), |(hook, data)| (Some(hook), data));
        let options = sys::peal_spawn_options {
            size: mem::size_of::<sys::peal_spawn_options>(),
            flags: self.flags,
            envp: if self.env.is_some() {
                envp.as_ptr()
            } else {
                ptr::null()
            },
            rlimits: self.rlimits.as_ptr(),
            rlimit_count: self.rlimits.len(),
            pre_exec,
            pre_exec_data,
        };
        let mut raw = ptr::null_mut();
        check_told(how(&mut raw, pointers(&argv).as_ptr(), &options))?;
        Ok(Child {
            raw: NonNull::new(raw).expect("a child"),
        })
    }
}

type Answer = *mut *mut sys::peal_child;
type Argv = *const *mut c_char;
type Start<'f> = dyn FnMut(Answer, Argv, *const sys::peal_spawn_options) -> c_int + 'f;

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// By itself, with this exit status.
    Exited(i32),
    /// By this signal.
    Killed(i32),
}

/// A process that was started. When this goes, it is killed if it still runs, and reaped.
///
/// [`describe`](Child::describe) says in a sentence how it fares: "'./plugin' (pid 4711) was killed
/// by signal 11 (Segmentation fault)".
pub struct Child {
    raw: NonNull<sys::peal_child>,
}

// SAFETY: a child belongs to one thread at a time, to any.
unsafe impl Send for Child {}

impl Child {
    /// Wait until it has attached to its channel.
    ///
    /// # Errors
    /// `BrokenPipe` when it ended before: the error says how; `EPROTONOSUPPORT` when it speaks
    /// another layout version; `TimedOut`, `WouldBlock`.
    pub fn wait_ready(
        &mut self,
        channel: &mut Channel,
        deadline: impl Into<Deadline>,
    ) -> Result<()> {
        let (child, channel, ns) = (self.as_raw(), channel.as_raw(), deadline.into().ns());
        // SAFETY: both live, and no end of the channel is in use.
        check(unsafe { sys::peal_child_wait_ready(child, channel, ns) })?;
        Ok(())
    }

    /// Wait for its end; asking again gives the same answer.
    ///
    /// # Errors
    /// `TimedOut`; `WouldBlock` while it runs; `ECHILD` if somebody else reaped it.
    pub fn wait(&mut self, deadline: impl Into<Deadline>) -> Result<Ended> {
        let mut status = sys::peal_child_status::default();
        // SAFETY: a child that lives.
        check(unsafe { sys::peal_child_wait(self.as_raw(), deadline.into().ns(), &mut status) })?;
        Ok(match status.state {
            sys::PEAL_CHILD_EXITED => Ended::Exited(status.value),
            _ => Ended::Killed(status.value),
        })
    }

    /// Send it a signal; never hits a stranger.
    ///
    /// # Errors
    /// `ESRCH` once it has been waited for.
    pub fn kill(&mut self, signal: i32) -> Result<()> {
        // SAFETY: a child that lives.
        check(unsafe { sys::peal_child_kill(self.as_raw(), signal) })?;
        Ok(())
    }

    /// Its process id. Names somebody else once it has been waited for.
    pub fn id(&self) -> i32 {
        // SAFETY: a child that lives.
        unsafe { sys::peal_child_pid(self.as_raw()) }
    }

    /// How it fares, as far as known. Takes its status when it has ended.
    pub fn describe(&mut self) -> String {
        let mut text = [0u8; 512];
        // SAFETY: writes a text that ends, within these bytes.
        unsafe { sys::peal_child_describe(self.as_raw(), text.as_mut_ptr().cast(), text.len()) };
        let end = text
            .iter()
            .position(|byte| *byte == 0)
            .unwrap_or(text.len());
        String::from_utf8_lossy(&text[..end]).into_owned()
    }

    /// For [`sys`].
    pub fn as_raw(&self) -> *mut sys::peal_child {
        self.raw.as_ptr()
    }
}

impl AsFd for Child {
    /// Its pidfd: readable once it has ended.
    fn as_fd(&self) -> BorrowedFd<'_> {
        // SAFETY: the child's, which lives.
        unsafe { BorrowedFd::borrow_raw(sys::peal_child_pidfd(self.as_raw())) }
    }
}

impl fmt::Debug for Child {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Child {}", self.id())
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // SAFETY: ours.
        unsafe { sys::peal_child_free(self.as_raw()) };
    }
}
