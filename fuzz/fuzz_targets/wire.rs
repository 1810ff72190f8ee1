//! Bytes that pretend to be packets which the hosts of a lab receive.
//!
//! `cargo +nightly fuzz run wire`
//!
//! Looks for panics. The first byte says what they pretend to be.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ringfence_lab::wire::{icmp, sctp};
use ringfence_model::address::IpFamily;

fuzz_target!(|bytes: &[u8]| {
    let Some((kind, packet)) = bytes.split_first() else {
        return;
    };
    match kind % 2 {
        0 => {
            for family in IpFamily::ALL {
                let _ = icmp::Echo::read(packet, family);
            }
        }
        _ => {
            let _ = sctp::Packet::read(packet);
        }
    }
});
