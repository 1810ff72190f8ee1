//! The messages of a log group, and the numbers that they have.
//!
//! The kernel numbers them where it is asked to, each before it knows whether the socket has
//! room for it: what is missing in the row was lost. nlink reads no numbers, so they are read
//! here.

use nlink::netlink::attr::get;
use nlink::netlink::message::{NLM_F_ACK, NLM_F_REQUEST, NlMsgError};
use nlink::netlink::nflog::{
    NFNL_SUBSYS_ULOG, NFULA_IFINDEX_PHYSINDEV, NFULA_PAYLOAD, NFULA_PREFIX, NFULA_SEQ,
    NFULNL_MSG_CONFIG, NFULNL_MSG_PACKET,
};
use nlink::netlink::{AttrIter, MessageBuilder, MessageIter};

/// `NFULA_CFG_FLAGS` (`linux/netfilter/nfnetlink_log.h`).
const FLAGS: u16 = 6;
/// `NFULNL_CFG_F_SEQ`: numbers of their own for the messages to each listener.
const NUMBERED: u16 = 1;

/// `NFULA_HWHEADER`: the Ethernet header of the frame.
const HARDWARE: u16 = 16;
/// `NFULA_VLAN`, and in it `NFULA_VLAN_PROTO`: the tag that was taken off the frame.
const TAG: u16 = 20;
const TAG_TYPE: u16 = 1;
/// The bit that says that an attribute holds others.
const NESTED: u16 = 1 << 15;

/// `struct nfgenmsg`, which comes before the attributes.
const HEADER: usize = 4;

/// The request that a group's messages to this socket are numbered.
pub(super) fn number_events(group: u16, sequence: u32, port: u32) -> Vec<u8> {
    let kind = NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_CONFIG;
    let mut request = MessageBuilder::new(kind, NLM_F_REQUEST | NLM_F_ACK);
    let [high, low] = group.to_be_bytes();
    request.append_bytes(&[0, 0, high, low]);
    request.append_attr_u16_be(FLAGS, NUMBERED);
    request.set_seq(sequence);
    request.set_pid(port);
    request.finish()
}

/// What a message is.
#[derive(Debug)]
pub(super) enum Message<'a> {
    /// The answer to the request with this sequence number.
    Answer(u32, nlink::Result<()>),
    /// A packet that a rule logged.
    Packet(Logged<'a>),
}

/// A packet that a rule logged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Logged<'a> {
    /// Its number; `None` where it was logged before numbers were asked for.
    pub(super) number: Option<u32>,
    /// The text of the rule.
    pub(super) prefix: &'a str,
    /// The packet, from its network header on, as far as it is told.
    pub(super) head: &'a [u8],
    /// The Ethernet header of the frame, without a tag.
    pub(super) hardware: &'a [u8],
    /// The type of the frame's tag.
    pub(super) tag: Option<u16>,
    /// The number of the port of a bridge that the frame came in by.
    pub(super) port: Option<u32>,
}

/// The messages of a datagram. What cannot be read is left out: it is none of the kernel's.
pub(super) fn of(datagram: &[u8]) -> impl Iterator<Item = Message<'_>> {
    MessageIter::new(datagram).filter_map(|message| {
        let (header, payload) = message.ok()?;
        if header.is_error() {
            let answer = NlMsgError::from_bytes(payload).ok()?;
            let result = match answer.is_ack() {
                true => Ok(()),
                false => Err(answer.to_error(header.nlmsg_flags, payload)),
            };
            return Some(Message::Answer(header.nlmsg_seq, result));
        }
        let is_packet = header.nlmsg_type == NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_PACKET;
        is_packet.then(|| Message::Packet(logged(payload)))
    })
}

fn logged(payload: &[u8]) -> Logged<'_> {
    let mut logged = Logged::default();
    for (kind, value) in AttrIter::new(payload.get(HEADER..).unwrap_or_default()) {
        match kind & !NESTED {
            NFULA_SEQ => logged.number = get::u32_be(value).ok(),
            NFULA_PREFIX => logged.prefix = get::string(value).unwrap_or_default(),
            NFULA_PAYLOAD => logged.head = value,
            NFULA_IFINDEX_PHYSINDEV => logged.port = get::u32_be(value).ok(),
            HARDWARE => logged.hardware = value,
            TAG => {
                let mut of_tag = AttrIter::new(value);
                let kind = of_tag.find(|(kind, _)| *kind == TAG_TYPE);
                logged.tag = kind.and_then(|(_, value)| get::u16_be(value).ok());
            }
            _ => {}
        }
    }
    logged
}

/// The numbers of the messages that came, from which follows how many did not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Numbering {
    /// The number of the next message, if none is lost. After the last number comes 0.
    next: u32,
}

impl Numbering {
    /// How many messages were lost between the last one and the one with this number.
    pub(super) fn lost_before(&mut self, number: u32) -> u32 {
        let lost = number.wrapping_sub(self.next);
        self.next = number.wrapping_add(1);
        lost
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_in_a_row_was_lost() {
        let mut numbering = Numbering::default();
        let lost = [0, 1, 2, 5, 6, 1_000].map(|number| numbering.lost_before(number));
        assert_eq!(lost, [0, 0, 0, 2, 0, 993]);
        let mut from_the_beginning = Numbering::default();
        assert_eq!(from_the_beginning.lost_before(3), 3);
    }

    #[test]
    fn numbers_go_on_from_zero_after_the_last_one() {
        let mut numbering = Numbering { next: u32::MAX - 1 };
        let lost = [u32::MAX - 1, u32::MAX, 0, 1].map(|number| numbering.lost_before(number));
        assert_eq!(lost, [0; 4]);
        for (next, number, lost) in [
            (u32::MAX - 1, 0, 2),
            (u32::MAX - 1, 7, 9),
            (u32::MAX, 3, 4),
            (0, u32::MAX, u32::MAX),
        ] {
            let mut numbering = Numbering { next };
            assert_eq!(numbering.lost_before(number), lost, "{next} {number}");
            assert_eq!(numbering.lost_before(number.wrapping_add(1)), 0);
        }
    }

    fn packet(number: Option<u32>) -> Vec<u8> {
        let mut message = MessageBuilder::new(NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_PACKET, 0);
        message.append_bytes(&[2, 0, 0, 5]);
        message.append_attr_str(NFULA_PREFIX, "ringfence deny egress");
        if let Some(number) = number {
            message.append_attr_u32_be(NFULA_SEQ, number);
        }
        message.append_attr(NFULA_PAYLOAD, &[0x45, 0]);
        message.finish()
    }

    #[test]
    fn a_message_has_a_number_a_text_and_the_head_of_a_packet() {
        let mut datagram = packet(None);
        datagram.extend(packet(Some(70_000)));
        let read: Vec<Logged<'_>> = of(&datagram)
            .map(|message| match message {
                Message::Packet(logged) => logged,
                other => panic!("{other:?}"),
            })
            .collect();
        let [before, numbered] = read[..] else {
            panic!("{read:?}");
        };
        assert_eq!((before.number, numbered.number), (None, Some(70_000)));
        assert_eq!(numbered.prefix, "ringfence deny egress");
        assert_eq!(numbered.head, [0x45, 0]);
    }

    #[test]
    fn a_message_that_ends_anywhere_is_no_panic() {
        let datagram = packet(Some(1));
        for length in 0..datagram.len() {
            let told = of(&datagram[..length]).count();
            assert_eq!(told, 0, "{length}");
        }
    }
}
