//! Raw sockets that note which probes of TCP and UDP came through, listened to or not.

use std::sync::Arc;

use nix::libc::{IPPROTO_TCP, IPPROTO_UDP};
use ringfence_model::address::IpFamily;
use socket2::SockFilter;
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
        if protocol == IPPROTO_TCP {
            socket.only(&openings(family))?;
        }
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

/// A program for the kernel that keeps segments with SYN and without ACK: the rest of a
/// thousand connections is nothing that this process must look at.
fn openings(family: IpFamily) -> Vec<SockFilter> {
    const LOAD_LENGTH_OF_IPV4_HEADER: u16 = 0xb1;
    const LOAD_BYTE: u16 = 0x30;
    const LOAD_BYTE_AFTER_HEADER: u16 = 0x50;
    const AND: u16 = 0x54;
    const JUMP_IF_EQUAL: u16 = 0x15;
    const RETURN: u16 = 0x06;
    const FLAGS: u32 = 13;
    // Raw sockets of IPv6 see no IP header.
    let mut program = match family {
        IpFamily::V4 => vec![
            SockFilter::new(LOAD_LENGTH_OF_IPV4_HEADER, 0, 0, 0),
            SockFilter::new(LOAD_BYTE_AFTER_HEADER, 0, 0, FLAGS),
        ],
        IpFamily::V6 => vec![SockFilter::new(LOAD_BYTE, 0, 0, FLAGS)],
    };
    program.extend([
        SockFilter::new(AND, 0, 0, u32::from(SYN | ACK)),
        SockFilter::new(JUMP_IF_EQUAL, 0, 1, u32::from(SYN)),
        SockFilter::new(RETURN, 0, 0, u32::MAX),
        SockFilter::new(RETURN, 0, 0, 0),
    ]);
    program
}

/// Bits of the flags of a TCP segment.
const SYN: u8 = 2;
const ACK: u8 = 16;

/// The first segment of a connection: SYN without ACK.
fn connection(received: &Received, segment: &[u8]) -> Option<Trace> {
    let flags = *segment.get(13)?;
    let opens = flags & SYN != 0 && flags & ACK == 0;
    let port = u16_at(segment, 0)?;
    opens.then(|| Trace::Tcp(received.from.ip(), port))
}

/// A datagram of a probe is its nonce, after eight bytes of header.
fn nonce(_: &Received, datagram: &[u8]) -> Option<Trace> {
    u64_at(datagram, 8).map(Trace::Nonce)
}
