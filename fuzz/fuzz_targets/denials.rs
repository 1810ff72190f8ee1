//! What the kernel tells of denied packets, which anybody may have sent: the messages of a
//! log group, and the heads of packets in them.
//!
//! `cargo +nightly fuzz run denials`
//!
//! Looks for panics, for events that nothing tells, and for denials that say something else
//! when they are told in a message. The first byte says what the others pretend to be.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ringfence_dataplane::nflog::{Event, denial, events};

/// `NFNL_SUBSYS_ULOG` and `NFULNL_MSG_PACKET`.
const PACKET: u16 = 4 << 8;
const PREFIX: u16 = 10;
const PAYLOAD: u16 = 9;
const SEQUENCE: u16 = 12;

/// What rules are called, one for each thing that they may say.
const PREFIXES: [&str; 8] = [
    "ringfence deny egress",
    "ringfence deny ingress reply",
    "ringfence audit egress reply",
    "ringfence audit ingress",
    "ringfence deny unknown address",
    "ringfence deny forged source",
    "ringfence deny closed pod reply",
    "somebody else's",
];

/// A message of a log group with these attributes.
fn message(attributes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(20 + attributes.len()).expect("it is short");
    let mut message = length.to_ne_bytes().to_vec();
    message.extend(PACKET.to_ne_bytes());
    message.extend([0; 10]);
    message.extend([2, 0, 0, 5]);
    message.extend(attributes);
    message
}

fn attribute(into: &mut Vec<u8>, kind: u16, value: &[u8]) {
    let length = u16::try_from(4 + value.len()).expect("it is short");
    into.extend(length.to_ne_bytes());
    into.extend(kind.to_ne_bytes());
    into.extend(value);
    into.resize(into.len().next_multiple_of(4), 0);
}

fuzz_target!(|bytes: &[u8]| {
    let Some((kind, rest)) = bytes.split_first() else {
        return;
    };
    match kind % 5 {
        0 => {
            let (prefix, packet) = rest.split_at(rest.len() / 2);
            let _ = denial(&String::from_utf8_lossy(prefix), packet);
        }
        1 => {
            let told = events(rest);
            assert!(told.len() <= rest.len() / 8, "{told:?}");
        }
        2 => {
            let told = events(&message(rest));
            assert!(told.len() <= 2, "one packet, and what was lost before it");
        }
        // A packet, alone and in a message, with a number or without one.
        is_numbered => {
            let Some((prefix, packet)) = rest.split_first() else {
                return;
            };
            let prefix = PREFIXES[usize::from(*prefix) % PREFIXES.len()];
            let alone = denial(prefix, packet);
            let mut attributes = Vec::new();
            attribute(&mut attributes, PREFIX, &[prefix.as_bytes(), &[0]].concat());
            let mut due = Vec::new();
            if is_numbered == 3 {
                attribute(&mut attributes, SEQUENCE, &7_u32.to_be_bytes());
                due.push(Event::Lost(7));
            }
            attribute(&mut attributes, PAYLOAD, packet);
            due.extend(alone.map(Event::Denied));
            assert_eq!(events(&message(&attributes)), due);
        }
    }
});
