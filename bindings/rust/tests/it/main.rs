// SPDX-License-Identifier: MIT
//! Promises of the crate, between real processes.

mod records;
