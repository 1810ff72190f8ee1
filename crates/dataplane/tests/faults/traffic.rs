//! Traffic that goes on while something happens, counted to the packet.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::sys::socket::{setsockopt, sockopt};
use nlink::netlink::namespace::Netns;

use crate::network::{DEADLINE, PATIENCE, udp, when_usable};

/// Time between two packets of one flow.
const PACE: Duration = Duration::from_millis(1);

/// What a socket keeps while its thread waits for a processor: some seconds of packets.
const BUFFER: usize = 8 << 20;

/// Nothing may be lost because a thread is slow.
fn keep_all(socket: &UdpSocket) {
    setsockopt(socket, sockopt::RcvBufForce, &BUFFER).expect("root may");
}

/// What a server has seen.
#[derive(Default)]
pub(crate) struct Seen {
    /// Packets from addresses that are not expected.
    pub(crate) leaked: AtomicU64,
}

/// Echoes numbered packets, and counts those that do not come from `expected`.
pub(crate) fn serve(namespace: &Netns, address: IpAddr, port: u16, expected: IpAddr) -> Arc<Seen> {
    let socket = when_usable(namespace, || {
        UdpSocket::bind(SocketAddr::new(address, port))
    });
    keep_all(&socket);
    let seen = Arc::new(Seen::default());
    let counts = Arc::clone(&seen);
    std::thread::spawn(move || {
        let mut buffer = [0; 64];
        while let Ok((read, from)) = socket.recv_from(&mut buffer) {
            if from.ip() != expected {
                counts.leaked.fetch_add(1, Ordering::Relaxed);
            }
            let _ = socket.send_to(&buffer[..read], from);
        }
    });
    seen
}

/// One flow of numbered packets.
pub(crate) struct Flow {
    stop: Arc<AtomicBool>,
    sender: JoinHandle<u64>,
    receiver: JoinHandle<BTreeSet<u64>>,
    /// How many packets were sent, when no more are.
    sent: Arc<OnceLock<u64>>,
}

/// What became of a flow's packets.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) sent: u64,
    pub(crate) answered: u64,
}

impl Flow {
    /// Sends packets that are answered until it is stopped.
    pub(crate) fn allowed(namespace: &Netns, from: IpAddr, to: IpAddr, port: u16) -> Self {
        Self::start(namespace, (from, SocketAddr::new(to, port)), DEADLINE)
    }

    /// Sends packets that are not answered until it is stopped.
    pub(crate) fn denied(namespace: &Netns, from: IpAddr, to: IpAddr, port: u16) -> Self {
        Self::start(namespace, (from, SocketAddr::new(to, port)), PATIENCE)
    }

    /// In the end answers are waited for that are not there yet.
    fn start(namespace: &Netns, (from, to): (IpAddr, SocketAddr), patience: Duration) -> Self {
        let socket = udp(namespace, from);
        let often = Duration::from_millis(100);
        socket.set_read_timeout(Some(often)).unwrap();
        keep_all(&socket);
        let receiving = socket.try_clone().unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let stop_sending = Arc::clone(&stop);
        let sender = std::thread::spawn(move || {
            let mut sent = 0;
            while !stop_sending.load(Ordering::Relaxed) {
                let number: u64 = sent;
                // A packet that cannot even be sent is one that is lost.
                let _ = socket.send_to(&number.to_be_bytes(), to);
                sent += 1;
                std::thread::sleep(PACE);
            }
            sent
        });
        let sent = Arc::new(OnceLock::new());
        let all = Arc::clone(&sent);
        let receiver = std::thread::spawn(move || {
            let mut answered = BTreeSet::new();
            let mut buffer = [0; 8];
            let mut deadline = None;
            loop {
                if let Ok(8) = receiving.recv(&mut buffer) {
                    answered.insert(u64::from_be_bytes(buffer));
                }
                let Some(all) = all.get() else { continue };
                let deadline = deadline.get_or_insert_with(|| Instant::now() + patience);
                if answered.len() as u64 == *all || Instant::now() > *deadline {
                    return answered;
                }
            }
        });
        Self {
            stop,
            sender,
            receiver,
            sent,
        }
    }

    /// Stops sending, and waits for what is on its way.
    pub(crate) fn stop(self) -> Outcome {
        self.stop.store(true, Ordering::Relaxed);
        let sent = self.sender.join().unwrap();
        self.sent.set(sent).unwrap();
        let answered = self.receiver.join().unwrap();
        Outcome {
            sent,
            answered: u64::try_from(answered.len()).unwrap(),
        }
    }
}
