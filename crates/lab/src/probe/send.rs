//! One probe of each protocol.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use nix::libc::EINPROGRESS;
use ringfence_model::address::IpFamily;
use ringfence_model::protocol::Protocol;
use socket2::Type;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::{Instant, timeout, timeout_at};

use super::{Kind, Observed, Probe};
use crate::dns::message::{Question, RecordType, read_answer};
use crate::on_link::is_on_link;
use crate::station::{Answer, Arrivals, Station, Trace, any, domain};
use crate::topology::UPLINK;

/// What the sender of a probe learnt.
#[derive(Debug)]
pub(super) enum Learnt {
    /// It was answered.
    Answered,
    /// The connection was opened, and then nothing came.
    Opened(String),
    /// Somebody said no.
    Refused(String),
    /// Nobody said anything.
    Silence,
    /// It could not be sent.
    NotSent(String),
}

/// What was learnt, and under what the probe is known where it arrives.
pub(super) struct Sent {
    pub(super) learnt: Learnt,
    pub(super) trace: Option<Trace>,
}

impl Sent {
    fn not(error: impl ToString) -> Self {
        Self {
            learnt: Learnt::NotSent(error.to_string()),
            trace: None,
        }
    }
}

/// Sends a probe and waits for what comes back.
pub(super) async fn send(
    station: &Station,
    probe: &Probe,
    nonce: u64,
    wait: Duration,
    arrivals: &Arrivals,
) -> Sent {
    let deadline = Instant::now() + wait;
    match (probe.protocol, probe.kind) {
        (Protocol::Tcp, _) => tcp(station, probe, nonce, deadline, arrivals).await,
        (Protocol::Udp, kind) => udp(station, probe, nonce, kind, deadline).await,
        (Protocol::Sctp, _) => sctp(station, probe, nonce, deadline).await,
        (Protocol::Icmp, _) => icmp(station, probe, nonce, deadline).await,
    }
}

fn bound(station: &Station, probe: &Probe, kind: Type) -> io::Result<socket2::Socket> {
    let family = IpFamily::of(probe.to);
    let socket = station
        .namespace()
        .socket(domain(family), kind, 0)
        .map_err(|error| io::Error::other(error.to_string()))?;
    stay_on_link(&socket, probe.to)?;
    let source = probe.source.unwrap_or_else(|| any(family));
    socket.bind(&SocketAddr::new(source, 0).into())?;
    Ok(socket)
}

/// An address of a link is none without the link.
fn stay_on_link(socket: &socket2::Socket, to: IpAddr) -> io::Result<()> {
    match is_on_link(to) {
        true => socket.bind_device(Some(UPLINK.as_bytes())),
        false => Ok(()),
    }
}

async fn tcp(
    station: &Station,
    probe: &Probe,
    nonce: u64,
    deadline: Instant,
    arrivals: &Arrivals,
) -> Sent {
    let socket = match bound(station, probe, Type::STREAM) {
        Ok(socket) => socket,
        Err(error) => return Sent::not(error),
    };
    // A thousand probes are not to leave a thousand half-closed connections.
    if let Err(error) = socket.set_linger(Some(Duration::ZERO)) {
        return Sent::not(error);
    }
    let port = socket
        .local_addr()
        .ok()
        .and_then(|address| address.as_socket());
    let port = port.map(|address| address.port()).unwrap_or_default();
    // The address is known once it is routed; it is that of the host, or what was asked.
    let source = probe.source.or_else(|| source_of(station, probe));
    let trace = source.map(|source| Trace::Tcp(source, port));
    if let Some(trace) = trace {
        arrivals.forget(trace);
    }
    let to = SocketAddr::new(probe.to, probe.port);
    let learnt = match connect(socket, to, deadline).await {
        Err(error) => refused_or_not_sent(error),
        Ok(None) => Learnt::Silence,
        Ok(Some(mut stream)) => {
            let mut answer = [0u8; 8];
            let echo = async {
                stream.write_all(&nonce.to_be_bytes()).await?;
                stream.read_exact(&mut answer).await
            };
            match timeout_at(deadline.max(Instant::now() + Duration::from_secs(2)), echo).await {
                Ok(Ok(_)) if answer == nonce.to_be_bytes() => Learnt::Answered,
                Ok(Ok(_)) => Learnt::Opened("somebody else answered".to_owned()),
                Ok(Err(error)) => Learnt::Opened(error.to_string()),
                Err(_) => Learnt::Opened("connected, and then nothing came".to_owned()),
            }
        }
    };
    Sent { learnt, trace }
}

/// A connection; `None` if there was no answer in time.
async fn connect(
    socket: socket2::Socket,
    to: SocketAddr,
    deadline: Instant,
) -> io::Result<Option<TcpStream>> {
    match socket.connect(&to.into()) {
        Err(error) if error.raw_os_error() != Some(EINPROGRESS) => return Err(error),
        _ => {}
    }
    let stream = TcpStream::from_std(socket.into())?;
    let answered = timeout_at(deadline, stream.writable()).await;
    // In a lab a refusal is there before the system call has ended. Then the kernel keeps it to
    // itself until the packet is sent once more, unless it is asked.
    match (stream.take_error()?, answered) {
        (Some(error), _) | (None, Ok(Err(error))) => Err(error),
        (None, Ok(Ok(()))) => Ok(Some(stream)),
        (None, Err(_)) => Ok(None),
    }
}

/// The address that the kernel would send from: that of a connected socket.
fn source_of(station: &Station, probe: &Probe) -> Option<IpAddr> {
    let family = IpFamily::of(probe.to);
    let socket = station
        .namespace()
        .socket(domain(family), Type::DGRAM, 0)
        .ok()?;
    stay_on_link(&socket, probe.to).ok()?;
    let to = SocketAddr::new(probe.to, 9);
    socket.connect(&to.into()).ok()?;
    socket
        .local_addr()
        .ok()?
        .as_socket()
        .map(|address| address.ip())
}

async fn udp(station: &Station, probe: &Probe, nonce: u64, kind: Kind, deadline: Instant) -> Sent {
    let made = bound(station, probe, Type::DGRAM).and_then(|socket| {
        socket.connect(&SocketAddr::new(probe.to, probe.port).into())?;
        UdpSocket::from_std(socket.into())
    });
    let socket = match made {
        Ok(socket) => socket,
        Err(error) => return Sent::not(error),
    };
    let [.., a, b] = nonce.to_be_bytes();
    let id = u16::from_be_bytes([a, b]);
    let (bytes, trace) = match kind {
        Kind::Connection => (nonce.to_be_bytes().to_vec(), Some(Trace::Nonce(nonce))),
        Kind::Question => {
            let record = match IpFamily::of(probe.to) {
                IpFamily::V4 => RecordType::A,
                IpFamily::V6 => RecordType::Aaaa,
            };
            (Question::write(id, crate::world::WEB.name, record), None)
        }
    };
    let is_answer = |answer: &[u8]| match kind {
        Kind::Connection => answer == bytes,
        Kind::Question => read_answer(answer, id).is_some_and(|found| !found.is_empty()),
    };
    let learnt = exchange(&socket, &bytes, is_answer, deadline).await;
    Sent { learnt, trace }
}

/// Sends a datagram twice at most, for one may be lost, and waits for the answer.
async fn exchange(
    socket: &UdpSocket,
    bytes: &[u8],
    is_answer: impl Fn(&[u8]) -> bool,
    deadline: Instant,
) -> Learnt {
    let mut answer = [0u8; 1500];
    let now = Instant::now();
    for until in [now + (deadline - now) / 2, deadline] {
        if let Err(error) = socket.send(bytes).await {
            return refused_or_not_sent(error);
        }
        loop {
            match timeout_at(until, socket.recv(&mut answer)).await {
                Err(_) => break,
                Ok(Err(error)) => return refused_or_not_sent(error),
                Ok(Ok(length)) if is_answer(answer.get(..length).unwrap_or_default()) => {
                    return Learnt::Answered;
                }
                Ok(Ok(_)) => {}
            }
        }
    }
    Learnt::Silence
}

/// Looks a name up at a name server: whether it answered with this address.
pub(super) async fn look_up(
    station: &Station,
    name: &str,
    server: IpAddr,
    wanted: IpAddr,
    nonce: u64,
    wait: Duration,
) -> bool {
    let probe = Probe {
        from: station.index(),
        source: None,
        to: server,
        name: None,
        protocol: Protocol::Udp,
        port: 53,
        kind: Kind::Question,
    };
    let made = bound(station, &probe, Type::DGRAM).and_then(|socket| {
        socket.connect(&SocketAddr::new(server, 53).into())?;
        UdpSocket::from_std(socket.into())
    });
    let Ok(socket) = made else {
        return false;
    };
    let [.., a, b] = nonce.to_be_bytes();
    let id = u16::from_be_bytes([a, b]);
    let record = match IpFamily::of(wanted) {
        IpFamily::V4 => RecordType::A,
        IpFamily::V6 => RecordType::Aaaa,
    };
    let question = Question::write(id, name, record);
    let is_answer =
        |answer: &[u8]| read_answer(answer, id).is_some_and(|found| found.contains(&wanted));
    let learnt = exchange(&socket, &question, is_answer, Instant::now() + wait).await;
    matches!(learnt, Learnt::Answered)
}

async fn sctp(station: &Station, probe: &Probe, nonce: u64, deadline: Instant) -> Sent {
    let Some(socket) = station.sctp(probe.to) else {
        return Sent::not("no address of this family");
    };
    // The tag is what the other end knows of a probe; 0 is no tag.
    let tag = u32::try_from(nonce & 0xffff_ffff)
        .unwrap_or_default()
        .max(1);
    let source_port = 32_768 | u16::try_from(nonce & 0x7fff).unwrap_or_default();
    let to = SocketAddr::new(probe.to, probe.port);
    let trace = Some(Trace::Nonce(tag.into()));
    let mut answer = match socket.init(to, probe.source, source_port, tag).await {
        Ok(answer) => answer,
        Err(error) => {
            socket.forget(tag);
            return Sent {
                learnt: refused_or_not_sent(error),
                trace,
            };
        }
    };
    let now = Instant::now();
    let mut heard = timeout_at(now + (deadline - now) / 2, &mut answer).await;
    if heard.is_err() {
        // Its fate is told by the wait that follows.
        let _ = socket.again(to, probe.source, source_port, tag).await;
        heard = timeout_at(deadline, &mut answer).await;
    }
    socket.forget(tag);
    let learnt = match heard {
        Ok(Ok(Answer::Accepted)) => Learnt::Answered,
        Ok(Ok(Answer::Refused)) => Learnt::Refused("ABORT".to_owned()),
        _ => Learnt::Silence,
    };
    Sent { learnt, trace }
}

async fn icmp(station: &Station, probe: &Probe, nonce: u64, deadline: Instant) -> Sent {
    let Some(pinger) = station.pinger(probe.to) else {
        return Sent::not("no address of this family");
    };
    let trace = Some(Trace::Nonce(nonce));
    let now = Instant::now();
    let mut learnt = Learnt::Silence;
    for until in [now + (deadline - now) / 2, deadline] {
        match pinger.ping(probe.to, probe.source, nonce).await {
            Err(error) => learnt = refused_or_not_sent(error),
            Ok(answer) => {
                let left = until.saturating_duration_since(Instant::now());
                if let Ok(Ok(())) = timeout(left, answer).await {
                    learnt = Learnt::Answered;
                }
            }
        }
        if !matches!(learnt, Learnt::Silence) {
            break;
        }
    }
    pinger.forget(nonce);
    Sent { learnt, trace }
}

fn refused_or_not_sent(error: io::Error) -> Learnt {
    use io::ErrorKind::{ConnectionRefused, ConnectionReset, HostUnreachable, PermissionDenied};
    match error.kind() {
        // The last is what IPv6 makes of "administratively prohibited".
        ConnectionRefused | ConnectionReset | HostUnreachable | PermissionDenied => {
            Learnt::Refused(error.to_string())
        }
        _ => Learnt::NotSent(error.to_string()),
    }
}

/// What became of a probe, from what was learnt and whether it arrived.
pub(super) fn observed(learnt: &Learnt, arrived: bool) -> (Observed, Option<String>) {
    match (learnt, arrived) {
        (Learnt::Answered, _) => (Observed::Allowed, None),
        (Learnt::Opened(why), _) => (Observed::Inconclusive, Some(why.clone())),
        (Learnt::Refused(_), true) => (Observed::Closed, None),
        (Learnt::Refused(why), false) => (Observed::Rejected, Some(why.clone())),
        (Learnt::Silence, true) => (
            Observed::Inconclusive,
            Some("it arrived, and no answer came back".to_owned()),
        ),
        (Learnt::Silence, false) => (Observed::Dropped, None),
        (Learnt::NotSent(why), _) => (Observed::Inconclusive, Some(why.clone())),
    }
}
