//! Bytes that pretend to ask the name servers of a lab, or to answer for them.
//!
//! `cargo +nightly fuzz run names`
//!
//! Looks for panics, for servers that send more than they are asked for, and for answers
//! that do not say what is known. The first byte says what the others pretend to be.
#![no_main]

use std::net::IpAddr;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use ringfence_lab::dns::Zone;
use ringfence_lab::dns::message::{Question, RecordType, read_answer};
use ringfence_model::snapshot::builder::{BuildOptions, SnapshotBuilder};

/// The names of the lab's internet.
static ZONE: LazyLock<Zone> = LazyLock::new(|| {
    let nothing = SnapshotBuilder::new(BuildOptions::default());
    Zone::new(&nothing.build(&Default::default()).0)
});

/// More than an answer holds, of both families.
fn addresses() -> Vec<IpAddr> {
    let numbers = 0..20_u8;
    let both = |number| {
        let v6 = [0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, number];
        [IpAddr::from([10, 0, 0, number]), IpAddr::from(v6)]
    };
    numbers.flat_map(both).collect()
}

fuzz_target!(|bytes: &[u8]| {
    let Some((kind, rest)) = bytes.split_first() else {
        return;
    };
    match kind % 4 {
        // Whatever comes: what is answered answers the question.
        0 => {
            let Some(answer) = ZONE.answer(rest) else {
                assert_eq!(Question::read(rest), None);
                return;
            };
            let question = Question::read(rest).expect("it was answered");
            assert!(answer.len() <= rest.len() + 16 * 28, "no amplifier");
            let known = ZONE.find(&question.name).unwrap_or_default();
            let read = read_answer(&answer, question.id).expect("it is one");
            assert!(read.iter().all(|address| known.contains(address)));
        }
        // A name that is known or not, asked as clients ask.
        1 => {
            let record = match rest.first() {
                Some(0) => RecordType::Aaaa,
                Some(1) => RecordType::Other(15),
                _ => RecordType::A,
            };
            let name = String::from_utf8_lossy(rest);
            let asked = Question::write(5, &name, record);
            let Some(question) = Question::read(&asked) else {
                return;
            };
            assert_eq!((question.id, question.record), (5, record));
            let known = addresses();
            let answer = question.answer(&asked, Some(&known));
            let wanted = known.into_iter().filter(|address| match record {
                RecordType::A => address.is_ipv4(),
                RecordType::Aaaa => address.is_ipv6(),
                RecordType::Other(_) => false,
            });
            assert_eq!(read_answer(&answer, 5), Some(wanted.take(16).collect()));
        }
        // Answers from anybody.
        2 => {
            if let Some(read) = read_answer(rest, 1) {
                assert!(read.len() <= rest.len() / 11);
            }
        }
        _ => {
            let mut answer = rest.to_vec();
            if let Some(head) = answer.first_chunk_mut() {
                *head = [0, 1, 0x84, 0, 0, 1];
            }
            let _ = read_answer(&answer, 1);
        }
    }
});
