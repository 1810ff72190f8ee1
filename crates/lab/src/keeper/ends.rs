//! What ends a lab that stays up, or one that is being built.

use std::future::pending;
use std::io;
use std::os::fd::AsFd as _;

use tokio::io::AsyncReadExt as _;
use tokio::net::unix::pipe;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals that tell a process to end.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    /// From now on none of them ends the process by itself.
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Comes back when there was one.
    pub(super) async fn any(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => (),
            _ = self.interrupt.recv() => (),
            _ = self.hangup.recv() => (),
        }
    }
}

/// Comes back when nobody has the other end of standard input any more: who started us was
/// killed, or ended. What is no pipe tells nothing about that.
pub(super) async fn nobody_waits() {
    let input = io::stdin().as_fd().try_clone_to_owned();
    let Ok(mut input) = input.and_then(pipe::Receiver::from_owned_fd) else {
        return pending().await;
    };
    let mut ignored = [0; 64];
    while input
        .read(&mut ignored)
        .await
        .is_ok_and(|length| length > 0)
    {}
}
