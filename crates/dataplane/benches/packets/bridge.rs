//! What packets pay between pods of one bridge: for the policies, and for the table of frames.

use ringfence_dataplane::compile::{Enforcement, Settings};
use ringfence_dataplane::ruleset::Layer;
use ringfence_testkit::generate::scale::Shape;

use super::network::Network;
use super::traffic::Figures;
use super::{Kind, Place, measure_bulk, ours, pair, place_in, tell_all};

/// Pods, and policies.
const SIZES: [(usize, usize); 2] = [(100, 10), (10_000, 10_000)];

async fn place(name: &str, kind: impl FnOnce(&Network) -> Kind) -> Place {
    let network = Network::on_bridge(&["web", "db"]).await;
    place_in(network, name, kind).await
}

/// The same ruleset, with the table of frames or without.
fn with_frames(network: &Network, (pods, policies): (usize, usize), frames: bool) -> Kind {
    let shape = Shape::with(pods, policies);
    let kind = ours(network, shape, Enforcement::Enforce, Settings::default());
    let Kind::Ours(mut ruleset) = kind else {
        unreachable!()
    };
    if !frames {
        ruleset.sets.retain(|_, set| set.layer == Layer::Network);
        ruleset
            .chains
            .retain(|_, chain| chain.layer == Layer::Network);
    }
    Kind::Ours(ruleset)
}

pub(crate) async fn measure(rounds: usize) {
    let alone = place("connections only", |_| Kind::ConnectionsOnly).await;
    let again = place("connections only, again", |_| Kind::ConnectionsOnly);
    let mut places = vec![again.await];
    for size in SIZES {
        for (what, frames) in [("policies", false), ("and frames", true)] {
            let name = format!("{} pods, {} policies: {what}", size.0, size.1);
            let kind = |network: &Network| with_frames(network, size, frames);
            places.push(place(&name, kind).await);
        }
    }
    let mut figures: Vec<Vec<[Figures; 2]>> = places.iter().map(|_| Vec::new()).collect();
    for round in 0..rounds {
        for (place, figures) in places.iter().zip(&mut figures) {
            figures.push(pair(&alone, place, round, |place| {
                Figures::measure(&place.network)
            }));
        }
    }
    println!("\nbetween pods of one bridge");
    tell_all(&places, &figures);
    measure_bulk(&alone, &places, rounds * 10);
}
