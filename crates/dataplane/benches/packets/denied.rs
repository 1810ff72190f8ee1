//! What a denied packet costs the processor of who sends it.
//!
//! Between veth everything up to the drop happens in the system call that sends, or right
//! after it on the same processor: the time of many packets is theirs.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use ringfence_dataplane::compile::{Enforcement, Settings};
use ringfence_dataplane::nflog::{Denials, Event};
use ringfence_dataplane::nft::{Noisy, Table, TableName};
use ringfence_model::policy::Direction;
use ringfence_testkit::generate::scale::Shape;

use crate::network::{Network, udp, v4};
use crate::traffic::{quartiles, stay_next};
use crate::{DB, Kind, WEB, install, ours, pair};

/// Packets in one measure: fewer than are sent before somebody else wants the processor.
const PACKETS: u32 = 1_000;

/// Who hears of what is denied.
#[derive(Clone, Copy, PartialEq)]
enum Heard {
    ByNobody,
    /// There is a listener; the limit leaves so little that it need not read.
    ButLimited,
    /// All of it is told, and read on the other processor.
    Everything,
}

/// A pod that may send nothing, and what drops its packets.
struct Place {
    name: String,
    network: Network,
    socket: UdpSocket,
    /// How many packets were sent.
    sent: AtomicU64,
    /// How many denials were told, and how many were lost.
    told: Arc<[AtomicU64; 2]>,
    _listener: Option<Denials>,
}

/// `db` may open nothing, and `web` is where it sends to.
async fn place(name: &str, heard: Heard, kind: impl FnOnce(&Network, Settings) -> Kind) -> Place {
    let network = Network::new(&["web", "db"]).await;
    crate::network::serve_udp(network.pod(WEB), v4(WEB), 9);
    crate::network::come_up(network.pod(DB), v4(DB), v4(WEB), 9);
    let mut settings = Settings::default();
    if heard == Heard::Everything {
        (settings.log_rate, settings.log_burst) = (10_000_000, 10_000_000);
    }
    let group = settings.log_group;
    install(network.node.netns(), &kind(&network, settings)).await;
    let told = Arc::<[AtomicU64; 2]>::default();
    let listener = match heard {
        Heard::ByNobody => None,
        Heard::ButLimited => Some(Denials::listen(network.node.netns(), group).await.unwrap()),
        Heard::Everything => {
            read_elsewhere(&network, group, &told);
            None
        }
    };
    // A new connection: the one from before the rules is known.
    let socket = udp(network.pod(DB), v4(DB));
    socket.connect(SocketAddr::new(v4(WEB), 9)).unwrap();
    let place = Place {
        name: name.to_owned(),
        network,
        socket,
        sent: AtomicU64::new(0),
        told,
        _listener: listener,
    };
    // Until the limit is reached, as it is under attack.
    send(&place);
    place
}

/// Reads all denials on the other processor for the rest of the process.
fn read_elsewhere(network: &Network, group: u16, told: &Arc<[AtomicU64; 2]>) {
    let namespace = network.node.netns().try_clone().unwrap();
    let told = Arc::clone(told);
    let (ready, is_ready) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        stay_next();
        let runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = { runtime }.enable_all().build().unwrap();
        runtime.block_on(async {
            let mut denials = Denials::listen(namespace, group).await.unwrap();
            ready.send(()).unwrap();
            let all = denials.read(|event| {
                match event {
                    Event::Denied(_) => told[0].fetch_add(1, Ordering::Relaxed),
                    Event::Lost(some) => told[1].fetch_add(u64::from(some), Ordering::Relaxed),
                    Event::Overrun | Event::DeniedFrame(_) => 0,
                };
                ControlFlow::Continue(())
            });
            all.await.unwrap();
        });
    });
    is_ready.recv().unwrap();
}

/// Sends packets, and says how many nanoseconds one took.
fn send(place: &Place) -> f64 {
    let start = Instant::now();
    for _ in 0..PACKETS {
        place.socket.send(b"denied").unwrap();
    }
    let took = start.elapsed();
    place.sent.fetch_add(u64::from(PACKETS), Ordering::Relaxed);
    took.as_secs_f64() * 1e9 / f64::from(PACKETS)
}

async fn of_ours(name: &str, heard: Heard, pods: usize, policies: usize) -> Place {
    let shape = Shape::with(pods, policies);
    let kind = |network: &_, settings| ours(network, shape, Enforcement::Enforce, settings);
    place(name, heard, kind).await
}

/// How many packets the limit kept back, of those that were sent.
async fn kept_back(place: &Place) -> u64 {
    let namespace = place.network.node.netns();
    let table = Table::in_namespace(namespace, TableName::default()).unwrap();
    let of_db = Noisy::Pod(v4(DB), Direction::Egress);
    let suppressed = table.suppressed().await.unwrap_or_default();
    suppressed.get(&of_db).copied().unwrap_or_default()
}

pub(crate) async fn measure(rounds: usize) {
    let IpAddr::V4(db) = v4(DB) else {
        unreachable!()
    };
    let dropping = |from: Ipv4Addr| move |_: &Network, _: Settings| Kind::Drop(from);
    let plain = place("a plain drop rule", Heard::ByNobody, dropping(db)).await;
    let large = (10_000, 10_000);
    let places = [
        place("a plain drop rule, again", Heard::ByNobody, dropping(db)).await,
        of_ours("100 pods, 10 policies", Heard::ByNobody, 100, 10).await,
        of_ours(
            "10,000 pods and policies",
            Heard::ByNobody,
            large.0,
            large.1,
        )
        .await,
        of_ours(
            "the same, somebody listens",
            Heard::ButLimited,
            large.0,
            large.1,
        )
        .await,
        of_ours(
            "the same, no limit, all told",
            Heard::Everything,
            large.0,
            large.1,
        )
        .await,
    ];
    let mut figures: Vec<Vec<[f64; 2]>> = places.iter().map(|_| Vec::new()).collect();
    for round in 0..rounds * 40 {
        for (place, figures) in places.iter().zip(&mut figures) {
            figures.push(pair(&plain, place, round, send));
        }
    }
    println!("\ndenied UDP packets, of one that a plain rule drops: median (quartiles)");
    for (place, figures) in places.iter().zip(&figures) {
        let [took, ..] = quartiles(figures.iter().map(|both| both[1]));
        let ratios = figures.iter().map(|[plain, denied]| denied / plain);
        let [middle, low, high] = quartiles(ratios);
        println!(
            "{:<36} {took:>6.0} ns ({middle:>5.3} x, {low:>5.3} to {high:>5.3}) {:>9.0} in a second; \
             of {} sent {} kept back, {} told, {} lost",
            place.name,
            1e9 / took,
            place.sent.load(Ordering::Relaxed),
            kept_back(place).await,
            place.told[0].load(Ordering::Relaxed),
            place.told[1].load(Ordering::Relaxed),
        );
    }
    let [took, ..] = quartiles(figures.iter().flatten().map(|both| both[0]));
    println!(
        "{:<36} {took:>6.0} ns {:>40.0} in a second",
        plain.name,
        1e9 / took
    );
}
