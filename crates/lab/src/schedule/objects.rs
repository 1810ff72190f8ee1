//! Short ways to write objects of the API.

use std::net::IpAddr;

use ringfence_model::address::IpFamily;
use ringfence_model::k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

pub(super) fn metadata(namespace: Option<&str>, name: &str) -> ObjectMeta {
    ObjectMeta {
        namespace: namespace.map(ToOwned::to_owned),
        name: Some(name.to_owned()),
        ..ObjectMeta::default()
    }
}

/// The first address of each family, IPv4 first.
pub(super) fn one_of_each(addresses: &[IpAddr], families: &[IpFamily]) -> Vec<IpAddr> {
    IpFamily::ALL
        .into_iter()
        .filter(|family| families.contains(family))
        .filter_map(|family| {
            let mut all = addresses.iter().copied();
            all.find(|address| IpFamily::of(*address) == family)
        })
        .collect()
}

/// A number that is always the same for the same text.
pub(super) fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// A word of lower-case letters and digits that is always the same for the same text, as
/// the controllers make them of hashes.
pub(super) fn hash_word(text: &str, length: usize) -> String {
    // No vowels and none that look alike, so that no word comes out.
    const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    let mut hash = hash(text);
    let mut word = String::with_capacity(length);
    for _ in 0..length {
        hash ^= hash >> 29;
        let index = usize::try_from(hash % LETTERS.len() as u64).unwrap_or_default();
        word.push(LETTERS.get(index).map_or('b', |letter| char::from(*letter)));
        hash = hash
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
            .wrapping_add(0x1234_5678_9abc_def1);
    }
    word
}
