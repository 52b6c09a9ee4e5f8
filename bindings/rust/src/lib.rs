// SPDX-License-Identifier: MIT
#![warn(missing_docs)]
#![doc = include_str!("../README.md")]

mod channel;
mod child;
mod consumer;
mod deadline;
mod doorbell;
mod error;
mod guest;
mod poller;
mod producer;
pub mod rules;
pub mod sys;
mod view;
mod wake;

pub use channel::{Channel, DoorbellKind, Options, Peer};
pub use child::{Child, Command, Ended};
pub use consumer::{ArmedConsumer, Batch, Consumer, Record, Records};
pub use deadline::{Deadline, FOREVER, TRY};
pub use doorbell::{Doorbell, Drained, Handle, Ringer, Signal, Waiter};
pub use error::{Error, Result};
pub use guest::{attach, Attach};
pub use poller::{Backend, Event, Poller, Token, Waker, Watched};
pub use producer::{ArmedProducer, Producer, Reservation};
pub use view::View;
pub use wake::{Wake, WakePair};
