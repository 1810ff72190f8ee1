//! A socket of packets that knows to which of its addresses one came, and answers from
//! it.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::{IpAddr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::AsRawFd as _;

use nix::libc;
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, SockaddrIn, SockaddrIn6, SockaddrStorage,
    recvmsg, sendmsg, setsockopt, sockopt,
};
use ringfence_model::address::IpFamily;
use socket2::{SockFilter, Socket, Type};
use tokio::io::unix::AsyncFd;

use crate::error::LabError;
use crate::namespace::Namespace;
use crate::station::domain;

/// A socket for UDP or raw packets.
#[derive(Debug)]
pub(super) struct Datagrams {
    socket: AsyncFd<Socket>,
    family: IpFamily,
}

/// A packet that came.
#[derive(Debug)]
pub(super) struct Received {
    pub(super) bytes: Vec<u8>,
    pub(super) from: SocketAddr,
    /// The address that it was sent to.
    pub(super) to: Option<IpAddr>,
}

impl Datagrams {
    /// Packets of a protocol that has no sockets of its own here.
    pub(super) fn raw(
        namespace: &Namespace,
        family: IpFamily,
        protocol: i32,
    ) -> Result<Self, LabError> {
        let socket = namespace.socket(domain(family), Type::RAW, protocol)?;
        Self::new(namespace, family, socket)
    }

    pub(super) fn new(
        namespace: &Namespace,
        family: IpFamily,
        socket: Socket,
    ) -> Result<Self, LabError> {
        let refused = |error| LabError::kernel(namespace.name(), "packet information", error);
        match family {
            IpFamily::V4 => setsockopt(&socket, sockopt::Ipv4PacketInfo, &true),
            IpFamily::V6 => setsockopt(&socket, sockopt::Ipv6RecvPacketInfo, &true),
        }
        .map_err(refused)?;
        // A burst of probes is not to be lost in a queue. Only root of the machine may ask
        // for so much; with less, fewer probes can be under way at once.
        const QUEUE: usize = 8 << 20;
        if setsockopt(&socket, sockopt::RcvBufForce, &QUEUE).is_err() {
            let _ = socket.set_recv_buffer_size(QUEUE);
        }
        #[expect(
            deprecated,
            reason = "what replaces it is unsafe, for descriptors that change; this one does not"
        )]
        let socket = AsyncFd::new(socket)
            .map_err(|error| LabError::kernel(namespace.name(), "a socket", error))?;
        Ok(Self { socket, family })
    }

    /// Receives no packets but those that a program for the kernel keeps.
    pub(super) fn only(&self, program: &[SockFilter]) -> Result<(), LabError> {
        let attached = self.socket.get_ref().attach_filter(program);
        attached.map_err(|error| LabError::kernel("an ear", "a socket filter", error))
    }

    pub(super) async fn receive(&self) -> io::Result<Received> {
        loop {
            let mut ready = self.socket.readable().await?;
            let outcome = ready.try_io(|socket| self.receive_now(socket.get_ref()));
            if let Ok(outcome) = outcome {
                return outcome;
            }
        }
    }

    fn receive_now(&self, socket: &Socket) -> io::Result<Received> {
        let mut buffer = vec![0u8; 4096];
        let mut control = nix::cmsg_space!(libc::in6_pktinfo);
        let mut slices = [IoSliceMut::new(&mut buffer)];
        let message = recvmsg::<SockaddrStorage>(
            socket.as_raw_fd(),
            &mut slices,
            Some(&mut control),
            MsgFlags::MSG_DONTWAIT,
        )?;
        let to = message.cmsgs().ok().and_then(|mut all| {
            all.find_map(|control| match control {
                ControlMessageOwned::Ipv4PacketInfo(info) => Some(IpAddr::from(
                    u32::from_be(info.ipi_addr.s_addr).to_be_bytes(),
                )),
                ControlMessageOwned::Ipv6PacketInfo(info) => {
                    Some(IpAddr::from(info.ipi6_addr.s6_addr))
                }
                _ => None,
            })
        });
        let from = message.address.as_ref().and_then(address_of);
        let length = message.bytes;
        buffer.truncate(length);
        let from = from.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))?;
        Ok(Received {
            bytes: buffer,
            from,
            to,
        })
    }

    /// Sends a packet, from this address of the host if one is given.
    pub(super) async fn send(
        &self,
        bytes: &[u8],
        to: SocketAddr,
        from: Option<IpAddr>,
    ) -> io::Result<()> {
        loop {
            let mut ready = self.socket.writable().await?;
            let outcome = ready.try_io(|socket| self.send_now(socket, bytes, to, from));
            if let Ok(outcome) = outcome {
                return outcome;
            }
        }
    }

    fn send_now(
        &self,
        socket: &AsyncFd<Socket>,
        bytes: &[u8],
        to: SocketAddr,
        from: Option<IpAddr>,
    ) -> io::Result<()> {
        let fd = socket.get_ref().as_raw_fd();
        let slices = [IoSlice::new(bytes)];
        let flags = MsgFlags::MSG_DONTWAIT;
        // Raw sockets of IPv6 take a port for another protocol than their own.
        match (self.family, from, to) {
            (IpFamily::V4, from, SocketAddr::V4(to)) => {
                let to = SockaddrIn::from(to);
                let source = match from {
                    Some(IpAddr::V4(from)) => u32::from_be_bytes(from.octets()).to_be(),
                    _ => 0,
                };
                let info = libc::in_pktinfo {
                    ipi_ifindex: 0,
                    ipi_spec_dst: libc::in_addr { s_addr: source },
                    ipi_addr: libc::in_addr { s_addr: 0 },
                };
                sendmsg(
                    fd,
                    &slices,
                    &[ControlMessage::Ipv4PacketInfo(&info)],
                    flags,
                    Some(&to),
                )?;
            }
            (IpFamily::V6, from, SocketAddr::V6(to)) => {
                let to = SockaddrIn6::from(to);
                let info = from.and_then(|from| match from {
                    IpAddr::V6(from) => Some(libc::in6_pktinfo {
                        ipi6_addr: libc::in6_addr {
                            s6_addr: from.octets(),
                        },
                        ipi6_ifindex: 0,
                    }),
                    IpAddr::V4(_) => None,
                });
                match &info {
                    Some(info) => sendmsg(
                        fd,
                        &slices,
                        &[ControlMessage::Ipv6PacketInfo(info)],
                        flags,
                        Some(&to),
                    )?,
                    None => sendmsg(fd, &slices, &[], flags, Some(&to))?,
                };
            }
            _ => return Err(io::Error::from(io::ErrorKind::AddrNotAvailable)),
        }
        Ok(())
    }
}

fn address_of(address: &SockaddrStorage) -> Option<SocketAddr> {
    if let Some(v4) = address.as_sockaddr_in() {
        return Some(SocketAddrV4::from(*v4).into());
    }
    address
        .as_sockaddr_in6()
        .map(|v6| SocketAddrV6::from(*v6).into())
}
