// SPDX-License-Identifier: MIT
use std::time::{Duration, Instant};

use crate::sys;

/// When a wait ends: [`TRY`], [`FOREVER`], or a time, from a [`Duration`] (from now), an
/// [`Instant`] or an `Option<Duration>` (`None`: for ever).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(u64);

/// Do not wait at all: the call fails with `WouldBlock`.
pub const TRY: Deadline = Deadline(sys::PEAL_TRY);

/// Wait without end.
pub const FOREVER: Deadline = Deadline(sys::PEAL_FOREVER);

impl Deadline {
    pub(crate) fn ns(self) -> u64 {
        self.0
    }
}

impl From<Duration> for Deadline {
    fn from(duration: Duration) -> Deadline {
        let ns = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        // SAFETY: computes.
        Deadline(unsafe { sys::peal_deadline_in_ns(ns) })
    }
}

impl From<Instant> for Deadline {
    fn from(instant: Instant) -> Deadline {
        instant.saturating_duration_since(Instant::now()).into()
    }
}

impl From<Option<Duration>> for Deadline {
    fn from(duration: Option<Duration>) -> Deadline {
        duration.map_or(FOREVER, Deadline::from)
    }
}
