// SPDX-License-Identifier: MIT
#![warn(missing_docs)]
#![doc = include_str!("../README.md")]

mod channel;
mod child;
mod consumer;
mod deadline;
mod error;
mod producer;
pub mod sys;
mod view;

pub use channel::{attach, Attach, Channel, DoorbellKind, Options, Peer, Stats};
pub use child::{Child, Command, Ended};
pub use consumer::{ArmedConsumer, Batch, Consumer, Record, Records};
pub use deadline::{Deadline, FOREVER, TRY};
pub use error::{Error, Result};
pub use producer::{ArmedProducer, Producer, Reservation};
pub use view::View;
