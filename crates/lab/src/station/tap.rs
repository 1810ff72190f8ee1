//! Frames as they are, from and to the interfaces of a namespace.

use std::io::{self, IoSlice, Read};
use std::os::fd::AsRawFd;

use nix::sys::socket::{LinkAddr, MsgFlags, sendmsg};
use socket2::{Domain, Socket, Type};

use crate::error::LabError;
use crate::namespace::Namespace;

/// `ETH_P_ALL` (`linux/if_ether.h`), in the byte order of the network.
const EVERYTHING: i32 = 3_u16.to_be() as i32;

/// What one frame may have.
const LONGEST: usize = 2048;

/// A socket that sees every frame of a namespace, before anything is done with it.
#[derive(Debug)]
pub struct Tap {
    socket: Socket,
    interface: Option<LinkAddr>,
}

impl Tap {
    /// Opens one, which sends by the interface with this name, if there is one.
    ///
    /// # Errors
    /// If the kernel refuses it: `CAP_NET_RAW` is needed.
    pub fn open(namespace: &Namespace, interface: &str) -> Result<Self, LabError> {
        let socket = namespace.socket(Domain::PACKET, Type::RAW, EVERYTHING)?;
        let refused = |error: &dyn std::fmt::Display| {
            LabError::kernel(namespace.name(), interface, error.to_string())
        };
        let found = namespace.netns().run(|| {
            let mut all = nix::ifaddrs::getifaddrs()?;
            Ok::<_, nix::Error>(all.find_map(|it| {
                let link = it.address?.as_link_addr().copied();
                link.filter(|_| it.interface_name == interface)
            }))
        });
        let found = found.map_err(|error| refused(&error))?;
        Ok(Self {
            socket,
            interface: found.map_err(|error| refused(&error))?,
        })
    }

    /// Sends a frame.
    ///
    /// # Errors
    /// If there is no interface to send it by, or the kernel refuses.
    pub fn send(&self, frame: &[u8]) -> io::Result<()> {
        let to = self.interface.as_ref();
        let to = to.ok_or(io::ErrorKind::NotFound)?;
        let (socket, frame) = (self.socket.as_raw_fd(), [IoSlice::new(frame)]);
        sendmsg(socket, &frame, &[], MsgFlags::empty(), Some(to))?;
        Ok(())
    }

    /// Shows all frames that have come since the last time.
    pub fn drain(&self, mut show: impl FnMut(&[u8])) {
        let mut buffer = [0; LONGEST];
        while let Ok(length) = (&self.socket).read(&mut buffer) {
            show(buffer.get(..length).unwrap_or_default());
        }
    }
}
