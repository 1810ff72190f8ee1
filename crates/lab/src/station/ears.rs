//! Raw sockets that note which probes of TCP and UDP came through, listened to or not.

use std::sync::Arc;

use nix::libc::{IPPROTO_TCP, IPPROTO_UDP};
use ringfence_model::address::IpFamily;
use tokio::task::JoinSet;

use super::datagram::{Datagrams, Received};
use super::{Arrivals, Trace};
use crate::error::LabError;
use crate::namespace::Namespace;
use crate::wire::{after_ipv4_header, u16_at, u64_at};

pub(super) fn open(
    namespace: &Namespace,
    station: usize,
    family: IpFamily,
    arrivals: &Arc<Arrivals>,
    tasks: &mut JoinSet<()>,
) -> Result<(), LabError> {
    for (protocol, trace) in [
        (
            IPPROTO_TCP,
            connection as fn(&Received, &[u8]) -> Option<Trace>,
        ),
        (IPPROTO_UDP, nonce),
    ] {
        let socket = Datagrams::raw(namespace, family, protocol)?;
        let arrivals = Arc::clone(arrivals);
        tasks.spawn(async move {
            while let Ok(received) = socket.receive().await {
                let payload = match family {
                    IpFamily::V4 => after_ipv4_header(&received.bytes),
                    IpFamily::V6 => Some(&received.bytes[..]),
                };
                if let Some(trace) = payload.and_then(|payload| trace(&received, payload)) {
                    arrivals.note(trace, station);
                }
            }
        });
    }
    Ok(())
}

/// The first segment of a connection: SYN without ACK.
fn connection(received: &Received, segment: &[u8]) -> Option<Trace> {
    const SYN: u8 = 2;
    const ACK: u8 = 16;
    let flags = *segment.get(13)?;
    let opens = flags & SYN != 0 && flags & ACK == 0;
    let port = u16_at(segment, 0)?;
    opens.then(|| Trace::Tcp(received.from.ip(), port))
}

/// A datagram of a probe is its nonce, after eight bytes of header.
fn nonce(_: &Received, datagram: &[u8]) -> Option<Trace> {
    u64_at(datagram, 8).map(Trace::Nonce)
}
