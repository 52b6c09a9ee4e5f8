// SPDX-License-Identifier: MIT
//! A guest of a few lines: it sends each record back, from ring to ring.
use peal::{Consumer, Producer, Result, FOREVER};

fn echo(mut tx: Producer<'_>, mut rx: Consumer<'_>) -> Result<()> {
    loop {
        let record = rx.next(FOREVER)?;
        let mut room = tx.reserve(record.len(), FOREVER)?;
        record.copy_to(0, &mut room);
        room.commit(record.len(), record.kind())?;
    }
}

fn main() {
    let ended = peal::attach().and_then(|(mut channel, _arguments)| {
        let (tx, rx) = channel.split()?;
        echo(tx, rx)
    });
    match ended {
        Err(error) if !error.is_peer_gone() => {
            eprintln!("echo: {error}");
            std::process::exit(1)
        }
        _ => {}
    }
}
