//! What the kernel tells of denied connections, and of denied frames.

mod denial;
mod frame;
mod messages;
mod whose;

pub use denial::{Denial, Side, denial};
pub use frame::DeniedFrame;
pub use whose::{Isolated, whose};

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::os::fd::AsFd;

use nlink::Connection;
use nlink::netlink::Nflog;

use crate::nft::Error;
use messages::{Message, Numbering};

/// What is told of denied connections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// One of them.
    Denied(Denial),
    /// A frame that the port of a bridge does not carry.
    DeniedFrame(DeniedFrame),
    /// Nobody read in time, and events are lost from here on. How many is said before the
    /// next one that is told.
    Overrun,
    /// So many events were lost at this place.
    Lost(u32),
}

/// How much the socket keeps while nobody reads: some ten thousand events.
const RECEIVE_BUFFER: usize = 8 << 20;

/// How much of a packet is asked for: whatever the rule sends.
const WHOLE: u32 = 0xffff;

/// A listener of a log group in one network namespace.
pub struct Denials {
    connection: Connection<Nflog>,
    numbering: Numbering,
    /// Read, and not told yet.
    waiting: VecDeque<Event>,
}

impl Denials {
    /// Listens in a network namespace.
    ///
    /// # Errors
    /// Where no socket can be had, or somebody else listens to the group.
    pub async fn listen(namespace: impl AsFd, group: u16) -> Result<Self, Error> {
        let connection = Connection::<Nflog>::new_in(namespace.as_fd())?;
        connection.socket().set_rcvbuf(RECEIVE_BUFFER)?;
        connection.bind_group(group, WHOLE).await?;
        let mut denials = Self {
            connection,
            numbering: Numbering::default(),
            waiting: VecDeque::new(),
        };
        denials.number(group).await?;
        Ok(denials)
    }

    /// Asks for numbered events.
    async fn number(&mut self, group: u16) -> Result<(), Error> {
        let socket = self.connection.socket();
        let sequence = socket.next_seq();
        let request = messages::number_events(group, sequence, socket.pid());
        socket.send(&request).await?;
        loop {
            let datagram = self.connection.socket().recv_msg().await?;
            if let Some(answer) = self.keep(&datagram, Some(sequence)) {
                return Ok(answer?);
            }
        }
    }

    /// Calls `take` with each event, until it says that it has enough. What it has not seen
    /// is kept for the next time, also where the future is dropped.
    ///
    /// # Errors
    /// Where the socket fails.
    pub async fn read(
        &mut self,
        mut take: impl FnMut(Event) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        loop {
            while let Some(event) = self.waiting.pop_front() {
                if take(event).is_break() {
                    return Ok(());
                }
            }
            match self.connection.socket().recv_msg().await {
                Ok(datagram) => {
                    self.keep(&datagram, None);
                }
                Err(error) if error.is_no_buffer_space() => self.waiting.push_back(Event::Overrun),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Keeps the events of a datagram until they are told, and says what was answered to the
    /// request with a sequence number.
    fn keep(&mut self, datagram: &[u8], asked: Option<u32>) -> Option<nlink::Result<()>> {
        let mut answer = None;
        for message in messages::of(datagram) {
            match message {
                Message::Answer(sequence, result) if Some(sequence) == asked => {
                    answer = Some(result);
                }
                Message::Answer(..) => {}
                Message::Packet(packet) => {
                    let lost = packet
                        .number
                        .map(|number| self.numbering.lost_before(number));
                    if let Some(lost @ 1..) = lost {
                        self.waiting.push_back(Event::Lost(lost));
                    }
                    let event = match packet.prefix == frame::PREFIX {
                        true => frame::frame(&packet).map(Event::DeniedFrame),
                        false => denial(packet.prefix, packet.head).map(Event::Denied),
                    };
                    self.waiting.extend(event);
                }
            }
        }
        answer
    }
}
