// SPDX-License-Identifier: MIT
use peal::{Attach, Channel, Command, Deadline, Ended, Options, Peer, Result, FOREVER, TRY};
use std::io::{self, ErrorKind};
use std::time::{Duration, Instant};

use crate::common::{
    c_guest, is_guest, nothing_is_left, options, program, this_test, Pair, SIGKILL,
};

/// Number by number, until the guest is gone.
fn read_to_the_end(pair: &mut Pair, kill_at: u64) -> Result<u64> {
    for i in 0.. {
        let mut rx = pair.channel.rx()?;
        let found = rx
            .next(FOREVER)
            .map(|record| record.read(0).map(u64::from_le_bytes));
        match found {
            Ok(number) => assert_eq!(number, Some(i)),
            Err(error) if error.is_peer_gone() => return Ok(i),
            Err(error) => return Err(error),
        }
        if i == kill_at {
            pair.child.kill(SIGKILL)?;
            pair.child.wait(FOREVER)?;
        }
    }
    unreachable!()
}

#[test]
fn a_guest_that_is_killed_leaves_exactly_what_it_committed() {
    let mut pair = Pair::start(&options(), &c_guest("endless"));
    let read = read_to_the_end(&mut pair, 1000).unwrap();
    let (own, peer) = pair.channel.stats();
    assert!(read > 1000);
    // Records of 8 bytes take 16. What the guest says of itself may lag behind.
    assert_eq!(own.rx.position, read * 16);
    assert!(peer.tx.position <= own.rx.position && peer.tx.position + 4096 > own.rx.position);
    assert_eq!(pair.child.wait(TRY).unwrap(), Ended::Killed(SIGKILL));
    assert_eq!(pair.channel.peer(), Peer::Dead);
    assert!(
        pair.child.describe().contains("killed by signal 9"),
        "{}",
        pair.child.describe()
    );
    let mut tx = pair.channel.tx().unwrap();
    let gone = (0..)
        .find_map(|_| tx.send(b"nobody reads it", 0, FOREVER).err())
        .unwrap();
    assert_eq!(gone.kind(), ErrorKind::BrokenPipe);
}

#[test]
fn a_guest_that_kills_itself_leaves_all_that_it_sent() {
    let guest = c_guest("send-and-die").arg("500").arg("100");
    let mut pair = Pair::start(&options(), &guest);
    let mut rx = pair.channel.rx().unwrap();
    let mut kinds = Vec::new();
    let end = loop {
        match rx.next(FOREVER) {
            Ok(record) => kinds.push(record.kind()),
            Err(error) => break error,
        }
    };
    assert!(end.is_peer_gone());
    assert_eq!(kinds, (0..500).collect::<Vec<u16>>());
    assert_eq!(pair.child.wait(FOREVER).unwrap(), Ended::Killed(SIGKILL));
}

#[test]
fn a_guest_in_rust_ends_with_its_host() {
    Pair::start(&options(), &program("PEAL_RUST_GUEST")).end();
}

#[test]
fn a_guest_is_killed_and_reaped_when_its_handle_goes() {
    let _left = nothing_is_left();
    let pair = Pair::start(&options(), &c_guest("stall"));
    let pid = pair.child.id();
    drop(pair);
    assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
}

#[test]
fn deadlines_pass() {
    let mut pair = Pair::start(&options(), &c_guest("stall"));
    let mut rx = pair.channel.rx().unwrap();
    let soon = Duration::from_millis(5);
    for deadline in [
        soon.into(),
        Some(soon).into(),
        (Instant::now() + soon).into(),
    ] {
        let deadline: Deadline = deadline;
        assert_eq!(rx.next(deadline).unwrap_err().kind(), ErrorKind::TimedOut);
    }
    assert_eq!(rx.next(TRY).unwrap_err().kind(), ErrorKind::WouldBlock);
    assert_eq!(Deadline::from(None), FOREVER);
    assert!(Deadline::from(Duration::MAX) <= FOREVER && Deadline::from(soon) > TRY);
    assert_eq!(
        pair.child.wait(TRY).unwrap_err().kind(),
        ErrorKind::WouldBlock
    );
}

#[test]
fn errors_have_the_librarys_sentence() {
    let error = Channel::create(&Options::new()).unwrap_err();
    assert_eq!((error.errno(), error.kind()), (22, ErrorKind::InvalidInput));
    assert!(
        error.to_string().contains("a channel without a ring"),
        "{error}"
    );
    let error = io::Error::from(error);
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(
        error.to_string().contains("a channel without a ring"),
        "{error}"
    );
    // Answers have none, and do not borrow the one before.
    let mut channel = Channel::create(&options()).unwrap();
    let empty = channel.rx().unwrap().next(TRY).unwrap_err();
    assert_eq!(empty.to_string(), "nothing to be had without waiting");
}

#[test]
fn what_can_not_be_started_says_why() {
    let _left = nothing_is_left();
    let mut channel = Channel::create(&options()).unwrap();
    let nowhere = channel.spawn(&Command::new("/nowhere/guest")).unwrap_err();
    assert_eq!(nowhere.kind(), ErrorKind::NotFound);
    let torn = channel
        .spawn(&Command::new("guest").arg("a\0b"))
        .unwrap_err();
    assert_eq!(torn.to_string(), "'a\\0b' has a zero byte in it");
    assert!(Channel::create(&options().name("a\0b")).is_err());
    let mut child = channel.spawn(&c_guest("exit-before").arg("7")).unwrap();
    let died = child.wait_ready(&mut channel, FOREVER).unwrap_err();
    assert!(
        died.is_peer_gone() && died.to_string().contains("status 7"),
        "{died}"
    );
    assert_eq!(child.wait(FOREVER).unwrap(), Ended::Exited(7));
    assert_eq!(channel.spawn(&c_guest("echo")).unwrap_err().errno(), 16);
}

extern "C" fn refuse(_: *mut std::os::raw::c_void) -> i32 {
    -13
}

extern "C" fn run_out(_: *mut std::os::raw::c_void) -> i32 {
    -11
}

#[test]
fn a_start_that_lacks_something_is_no_answer_and_says_why() {
    // SAFETY: it returns.
    let command = unsafe { Command::new("true").pre_exec(run_out, std::ptr::null_mut()) };
    let error = command.spawn_fds(&[]).unwrap_err();
    assert_eq!(error.errno(), 11);
    assert!(error.to_string().contains("starting 'true'"), "{error}");
    let mut channel = Channel::create(&options()).unwrap();
    let error = channel.spawn(&command).unwrap_err();
    assert!(error.to_string().contains("starting 'true'"), "{error}");
}

#[test]
fn a_command_has_its_environment_limits_and_hook() {
    let shell = |script| {
        Command::new("sh")
            .arg("-c")
            .arg(script)
            .envs([("NAME", "value")])
    };
    let run = |command: Command| command.spawn_fds(&[]).unwrap().wait(FOREVER).unwrap();
    let script = "test \"$NAME\" = value && test -z \"$HOME\" && test \"$(ulimit -n)\" = 64";
    const RLIMIT_NOFILE: i32 = 7;
    assert_eq!(
        run(shell(script).rlimit(RLIMIT_NOFILE, 64, 64)),
        Ended::Exited(0)
    );
    let script = "grep -q 'NoNewPrivs:.*1' /proc/self/status";
    let held = Command::new("sh").arg("-c").arg(script).no_new_privs();
    assert_eq!(run(held), Ended::Exited(0));
    // SAFETY: it returns.
    let refused = unsafe { shell("exit 0").pre_exec(refuse, std::ptr::null_mut()) };
    assert_eq!(
        refused.spawn_fds(&[]).unwrap_err().kind(),
        ErrorKind::PermissionDenied
    );
}

#[test]
fn who_is_no_guest_is_told_so() {
    for _ in 0..2 {
        assert_eq!(peal::attach().unwrap_err().kind(), ErrorKind::NotFound);
    }
    let args = ["guest", "--segment-fd=x"].map(Into::into).to_vec();
    // SAFETY: no descriptor is named.
    let error = unsafe { Attach::new().from_args(args) }.unwrap_err();
    assert!(error.to_string().contains("'x'"), "{error}");
}

#[test]
fn a_child_dies_with_the_thread_that_started_it() {
    let start = || {
        Command::new("sleep")
            .arg("1000")
            .die_with_parent()
            .spawn_fds(&[])
            .unwrap()
    };
    let mut child = std::thread::spawn(start).join().unwrap();
    assert_eq!(child.wait(FOREVER).unwrap(), Ended::Killed(SIGKILL));
}

#[test]
fn the_command_line_is_attached_to_once() {
    if is_guest() {
        let (mut channel, left) = peal::attach().unwrap();
        let again = peal::attach().unwrap_err();
        let left: Vec<_> = left.iter().map(|word| word.to_str().unwrap()).collect();
        let text = format!("{} {}", again.errno(), left[1..].join(" "));
        return channel
            .tx()
            .unwrap()
            .send(text.as_bytes(), 0, FOREVER)
            .unwrap();
    }
    let name = "ends::the_command_line_is_attached_to_once";
    let mut pair = Pair::start(&options(), &this_test(name));
    let text = pair.channel.rx().unwrap().next(FOREVER).unwrap().to_vec();
    assert_eq!(
        String::from_utf8(text).unwrap(),
        format!("16 --exact {name} --")
    );
    assert_eq!(pair.child.wait(FOREVER).unwrap(), Ended::Exited(0));
}
