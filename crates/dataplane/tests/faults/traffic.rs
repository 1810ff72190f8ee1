//! Traffic that goes on while something happens, counted to the packet.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use nlink::netlink::namespace::Netns;

use crate::network::{udp, when_usable};

/// Time between two packets of one flow.
const PACE: Duration = Duration::from_millis(1);

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
}

/// What became of a flow's packets.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) sent: u64,
    pub(crate) answered: u64,
}

impl Flow {
    /// Sends packets until it is stopped.
    pub(crate) fn start(namespace: &Netns, from: IpAddr, to: IpAddr, port: u16) -> Self {
        let socket = udp(namespace, from);
        socket
            .set_read_timeout(Some(Duration::from_millis(100)))
            .unwrap();
        let receiving = socket.try_clone().unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let (stop_sending, stop_receiving) = (Arc::clone(&stop), Arc::clone(&stop));
        let sender = std::thread::spawn(move || {
            let mut sent = 0;
            while !stop_sending.load(Ordering::Relaxed) {
                let number: u64 = sent;
                // A packet that cannot even be sent is one that is lost.
                let _ = socket.send_to(&number.to_be_bytes(), SocketAddr::new(to, port));
                sent += 1;
                std::thread::sleep(PACE);
            }
            sent
        });
        let receiver = std::thread::spawn(move || {
            let mut answered = BTreeSet::new();
            let mut buffer = [0; 8];
            loop {
                match receiving.recv(&mut buffer) {
                    Ok(8) => {
                        answered.insert(u64::from_be_bytes(buffer));
                    }
                    Ok(_) => {}
                    // Nothing for a while: what is on its way has come.
                    Err(_) if stop_receiving.load(Ordering::Relaxed) => return answered,
                    Err(_) => {}
                }
            }
        });
        Self {
            stop,
            sender,
            receiver,
        }
    }

    /// Stops sending, and waits for what is on its way.
    pub(crate) fn stop(self) -> Outcome {
        self.stop.store(true, Ordering::Relaxed);
        let sent = self.sender.join().unwrap();
        let answered = self.receiver.join().unwrap();
        Outcome {
            sent,
            answered: u64::try_from(answered.len()).unwrap(),
        }
    }
}
