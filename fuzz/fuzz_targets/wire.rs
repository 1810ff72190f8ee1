//! Bytes that pretend to be packets: what the kernel tells of denied ones, and what the
//! hosts of a lab receive.
//!
//! `cargo +nightly fuzz run wire`
//!
//! Looks for panics. The first byte says what they pretend to be.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ringfence_dataplane::nflog::denial;
use ringfence_lab::dns::{Zone, message};
use ringfence_lab::wire::{icmp, sctp};
use ringfence_model::address::IpFamily;

fuzz_target!(|bytes: &[u8]| {
    let Some((kind, packet)) = bytes.split_first() else {
        return;
    };
    match kind % 6 {
        0 => {
            denial("ringfence deny egress", packet);
        }
        1 => {
            let (prefix, packet) = packet.split_at(packet.len() / 2);
            denial(&String::from_utf8_lossy(prefix), packet);
        }
        2 => {
            if let Some(answer) = Zone::default().answer(packet) {
                assert!(answer.len() <= packet.len() + 512, "no amplifier");
            }
        }
        3 => {
            message::read_answer(packet, 1);
        }
        4 => {
            for family in IpFamily::ALL {
                icmp::Echo::read(packet, family);
            }
        }
        _ => {
            sctp::Packet::read(packet);
        }
    }
});
