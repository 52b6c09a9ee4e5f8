// SPDX-License-Identifier: MIT
use std::fmt;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::sys;

/// A record where it lies in the ring.
///
/// The peer maps this memory writable, so a hostile one can change it while it is read. That is why
/// there is no safe `&[u8]` of it: Rust takes for granted that nobody writes what a shared slice
/// shows, and a compiler may read it twice, before and after a check. What is here reads by relaxed
/// atomic loads, each byte once a call, and hands out copies: whatever the peer does meanwhile, a
/// copy holds still. Check the copy, then use the copy.
pub struct View<'a> {
    words: *const AtomicU64,
    len: usize,
    kind: u16,
    ring: PhantomData<&'a [AtomicU64]>,
}

impl<'a> View<'a> {
    /// # Safety
    /// `record` was filled by libpeal, and is not released within `'a`.
    pub(crate) unsafe fn new(record: &sys::peal_record) -> View<'a> {
        View {
            words: record.data.cast(), // aligned to 8 or 64
            len: record.size as usize,
            kind: record.type_,
            ring: PhantomData,
        }
    }

    /// Its size in bytes: checked, and a private copy.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Is it a record without payload?
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The type that the producer gave it.
    pub fn kind(&self) -> u16 {
        self.kind
    }

    /// Copy out, from `offset` on, as much as `buffer` takes.
    ///
    /// # Panics
    /// When the record has not as much.
    pub fn copy_to(&self, offset: usize, buffer: &mut [u8]) {
        let end = offset.checked_add(buffer.len());
        assert!(
            end.map_or(false, |end| end <= self.len),
            "{} bytes at {offset} of a record of {}",
            buffer.len(),
            self.len
        );
        let lead = (offset.wrapping_neg() % 8).min(buffer.len());
        let (first, rest) = buffer.split_at_mut(lead);
        if lead > 0 {
            let at = offset % 8;
            first.copy_from_slice(&self.word(offset / 8)[at..at + lead]);
        }
        let mut index = (offset + lead) / 8;
        let mut whole = rest.chunks_exact_mut(8);
        for chunk in &mut whole {
            chunk.copy_from_slice(&self.word(index));
            index += 1;
        }
        let last = whole.into_remainder();
        if !last.is_empty() {
            let count = last.len();
            last.copy_from_slice(&self.word(index)[..count]);
        }
    }

    /// The `N` bytes at `offset`; `None` when the record ends before.
    ///
    /// `u32::from_le_bytes(record.read(4)?)` reads a number.
    pub fn read<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        let mut bytes = [0; N];
        if offset.checked_add(N)? > self.len {
            return None;
        }
        self.copy_to(offset, &mut bytes);
        Some(bytes)
    }

    /// A copy of it all.
    pub fn to_vec(&self) -> Vec<u8> {
        let mut bytes = vec![0; self.len];
        self.copy_to(0, &mut bytes);
        bytes
    }

    /// Where it lies; for other languages, and for reads that bear a hostile peer.
    pub fn as_ptr(&self) -> *const u8 {
        self.words.cast()
    }

    /// The record in place, without a copy.
    ///
    /// # Safety
    /// The peer must not write to the record before it is released. A peer that is trusted, and
    /// that sends by libpeal, does not. A hostile one does.
    pub unsafe fn as_slice(&self) -> &[u8] {
        std::slice::from_raw_parts(self.as_ptr(), self.len)
    }

    /// Payloads start and are padded at multiples of 8, so that a word with a byte of the record in
    /// it is within the ring.
    fn word(&self, index: usize) -> [u8; 8] {
        debug_assert!(index * 8 < self.len);
        // SAFETY: mapped, see above, and aligned. Relaxed loads of words may read what is mapped
        // read-only.
        unsafe { &*self.words.add(index) }
            .load(Ordering::Relaxed)
            .to_ne_bytes()
    }
}

impl fmt::Debug for View<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "View of {} bytes, kind {}", self.len, self.kind)
    }
}
