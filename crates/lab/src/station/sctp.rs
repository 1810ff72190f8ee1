use std::collections::{BTreeSet, HashMap};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use nix::libc::IPPROTO_SCTP;
use ringfence_model::address::IpFamily;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use super::datagram::{Datagrams, Received};
use super::{Arrivals, Trace};
use crate::error::LabError;
use crate::namespace::Namespace;
use crate::wire::after_ipv4_header;
use crate::wire::sctp::{Chunk, Packet};

/// What an INIT was answered with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The other end takes the association.
    Accepted,
    /// Nobody listens there.
    Refused,
}

/// Opens SCTP associations and answers those of others, up to the second packet.
#[derive(Debug)]
pub struct SctpSocket {
    socket: Datagrams,
    /// The ports with a listener.
    listening: Mutex<BTreeSet<u16>>,
    /// Who waits for the answer with a tag.
    waiting: Mutex<HashMap<u32, oneshot::Sender<Answer>>>,
}

impl SctpSocket {
    pub(super) fn open(
        namespace: &Namespace,
        station: usize,
        family: IpFamily,
        arrivals: &Arc<Arrivals>,
        tasks: &mut JoinSet<()>,
    ) -> Result<Arc<Self>, LabError> {
        let own = Arc::new(Self {
            socket: Datagrams::raw(namespace, family, IPPROTO_SCTP)?,
            listening: Mutex::default(),
            waiting: Mutex::default(),
        });
        let (hearing, arrivals) = (Arc::clone(&own), Arc::clone(arrivals));
        tasks.spawn(async move {
            while let Ok(received) = hearing.socket.receive().await {
                let payload = match family {
                    IpFamily::V4 => after_ipv4_header(&received.bytes),
                    IpFamily::V6 => Some(&received.bytes[..]),
                };
                if let Some(packet) = payload.and_then(Packet::read) {
                    hearing.hear(packet, &received, station, &arrivals).await;
                }
            }
        });
        Ok(own)
    }

    async fn hear(&self, packet: Packet, received: &Received, station: usize, seen: &Arrivals) {
        let answer = match packet.chunk {
            Chunk::Init { tag } => {
                seen.note(Trace::Nonce(tag.into()), station);
                let chunk = match self.listening().contains(&packet.destination) {
                    true => Chunk::InitAck { tag: !tag },
                    false => Chunk::Abort,
                };
                let answer = Packet {
                    source: packet.destination,
                    destination: packet.source,
                    tag,
                    chunk,
                };
                let to = SocketAddr::new(received.from.ip(), 0);
                // Who asked waits no longer than it wants to.
                let _ = self.socket.send(&answer.to_bytes(), to, received.to).await;
                return;
            }
            Chunk::InitAck { .. } => Answer::Accepted,
            Chunk::Abort => Answer::Refused,
            Chunk::Other(_) => return,
        };
        if let Some(sender) = self.waiting().remove(&packet.tag) {
            // Who waited may have given up.
            let _ = sender.send(answer);
        }
    }

    /// Listens on these ports from now on, and on no others.
    pub(super) fn listen(&self, ports: BTreeSet<u16>) {
        *self.listening() = ports;
    }

    fn listening(&self) -> MutexGuard<'_, BTreeSet<u16>> {
        // A set is whole between any two calls, whoever panicked.
        self.listening
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<u32, oneshot::Sender<Answer>>> {
        // A map is whole between any two calls, whoever panicked.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends an INIT with this tag; the receiver hears of the answer.
    ///
    /// # Errors
    /// If the kernel will not send it.
    pub async fn init(
        &self,
        to: SocketAddr,
        from: Option<IpAddr>,
        source_port: u16,
        tag: u32,
    ) -> io::Result<oneshot::Receiver<Answer>> {
        let (sender, receiver) = oneshot::channel();
        self.waiting().insert(tag, sender);
        self.again(to, from, source_port, tag).await?;
        Ok(receiver)
    }

    /// Sends the same INIT again, for it may have been lost.
    ///
    /// # Errors
    /// If the kernel will not send it.
    pub async fn again(
        &self,
        to: SocketAddr,
        from: Option<IpAddr>,
        source_port: u16,
        tag: u32,
    ) -> io::Result<()> {
        let packet = Packet {
            source: source_port,
            destination: to.port(),
            tag: 0,
            chunk: Chunk::Init { tag },
        };
        let host = SocketAddr::new(to.ip(), 0);
        self.socket.send(&packet.to_bytes(), host, from).await
    }

    /// Nobody waits any more.
    pub fn forget(&self, tag: u32) {
        self.waiting().remove(&tag);
    }
}
