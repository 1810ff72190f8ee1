use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use nix::libc::{IPPROTO_ICMP, IPPROTO_ICMPV6};
use ringfence_model::address::IpFamily;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use super::datagram::Datagrams;
use super::{Arrivals, Trace};
use crate::error::LabError;
use crate::namespace::Namespace;
use crate::wire::after_ipv4_header;
use crate::wire::icmp::Echo;

/// Sends echo requests, and hears those of others and all answers.
#[derive(Debug)]
pub struct Pinger {
    socket: Datagrams,
    family: IpFamily,
    /// Who waits for the answer with a number.
    waiting: Mutex<HashMap<u64, oneshot::Sender<()>>>,
}

impl Pinger {
    pub(super) fn open(
        namespace: &Namespace,
        station: usize,
        family: IpFamily,
        arrivals: &Arc<Arrivals>,
        tasks: &mut JoinSet<()>,
    ) -> Result<Arc<Self>, LabError> {
        let protocol = match family {
            IpFamily::V4 => IPPROTO_ICMP,
            IpFamily::V6 => IPPROTO_ICMPV6,
        };
        let pinger = Arc::new(Self {
            socket: Datagrams::raw(namespace, family, protocol)?,
            family,
            waiting: Mutex::default(),
        });
        let (listening, arrivals) = (Arc::clone(&pinger), Arc::clone(arrivals));
        tasks.spawn(async move {
            while let Ok(received) = listening.socket.receive().await {
                let message = match family {
                    IpFamily::V4 => after_ipv4_header(&received.bytes),
                    IpFamily::V6 => Some(&received.bytes[..]),
                };
                match message.and_then(|message| Echo::read(message, family)) {
                    Some(echo) if echo.is_reply => listening.answered(echo.nonce),
                    Some(echo) => arrivals.note(Trace::Nonce(echo.nonce), station),
                    None => {}
                }
            }
        });
        Ok(pinger)
    }

    /// Sends an echo request; the receiver hears of the answer.
    ///
    /// # Errors
    /// If the kernel will not send it.
    pub async fn ping(
        &self,
        to: IpAddr,
        from: Option<IpAddr>,
        nonce: u64,
    ) -> io::Result<oneshot::Receiver<()>> {
        let (sender, receiver) = oneshot::channel();
        self.waiting().insert(nonce, sender);
        // A number of its own for each, so that each is a connection of its own.
        let [a, b, ..] = nonce.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes();
        let echo = Echo {
            is_reply: false,
            identifier: u16::from_be_bytes([a, b]),
            nonce,
        };
        let bytes = echo.to_bytes(self.family);
        let sent = self.socket.send(&bytes, SocketAddr::new(to, 0), from).await;
        sent.map(|()| receiver)
    }

    /// Nobody waits any more.
    pub fn forget(&self, nonce: u64) {
        self.waiting().remove(&nonce);
    }

    fn answered(&self, nonce: u64) {
        if let Some(sender) = self.waiting().remove(&nonce) {
            // Who waited may have given up.
            let _ = sender.send(());
        }
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<u64, oneshot::Sender<()>>> {
        // A map is whole between any two calls, whoever panicked.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
