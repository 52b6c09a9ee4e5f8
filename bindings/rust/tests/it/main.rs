// SPDX-License-Identifier: MIT
//! Promises of the crate, between real processes, one after the other (RUST_TEST_THREADS=1): each
//! counts what is left.

mod common;
mod doorbells;
mod ends;
mod loops;
mod pollers;
mod records;
