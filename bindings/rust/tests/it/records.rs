// SPDX-License-Identifier: MIT
use peal::{Channel, Command, Options, FOREVER};

#[test]
fn every_record_comes_back_whole() {
    let mut channel = Channel::create(&Options::new().to_guest(1 << 16).to_host(1 << 16)).unwrap();
    let command = Command::new(std::env::var_os("PEAL_C_GUEST").unwrap()).arg("echo");
    let mut child = channel.spawn(&command).unwrap();
    child.wait_ready(&mut channel, FOREVER).unwrap();
    let (mut tx, mut rx) = channel.split().unwrap();
    for i in 0..2000u16 {
        let data: Vec<u8> = (0..i).map(|j| j as u8).collect();
        tx.send(&data, i, FOREVER).unwrap();
        let record = rx.next(FOREVER).unwrap();
        assert_eq!((record.to_vec(), record.kind()), (data, i));
    }
}
