//! What is told of denied connections.

use std::ops::ControlFlow;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use ringfence_dataplane::compile::{Enforcement, Settings};
use ringfence_dataplane::nflog::{Denial, Denials, Side};
use ringfence_dataplane::nft::{Connections, Enforcer, Table, TableName};
use ringfence_model::policy::Direction;

use crate::network::{self, Network, count_udp, udp, udp_echoes, v4};
use crate::{DB, OTHER, WEB, both, shop, with_allow};

async fn enforce_with(network: &Network, settings: &Settings) -> Enforcer {
    let (engine, mut node) = network.engine(&[], &with_allow());
    node.settings = settings.clone();
    let namespace = network.node.netns();
    let table = Table::in_namespace(namespace, TableName::default()).unwrap();
    let connections = Connections::in_namespace(namespace).unwrap();
    let started = Enforcer::start(table, connections, &engine, &node).await;
    started.expect("the ruleset is taken").0
}

#[tokio::test]
async fn a_denied_connection_is_told_and_a_noisy_pod_does_not_hide_a_quiet_one() {
    let network = shop().await;
    let namespace = network.node.netns();
    let settings = Settings::default();
    let denials = Denials::listen(namespace, settings.log_group)
        .await
        .unwrap();
    let _enforcer = enforce_with(&network, &settings).await;
    for address in both() {
        let noisy = udp(network.pod(OTHER), address(OTHER));
        for port in 1000..1500 {
            noisy.send_to(b"noise", (address(DB), port)).unwrap();
        }
        let quiet = udp(network.pod(WEB), address(WEB));
        quiet.send_to(b"once", (address(OTHER), 9)).unwrap();
    }
    // The other side: `db` lets nobody else in.
    let mut told: Vec<Denial> = Vec::new();
    let all = denials.read(|denial| {
        told.push(denial.expect("nothing is lost"));
        ControlFlow::Continue(())
    });
    // It never ends by itself.
    assert!(tokio::time::timeout(network::PATIENCE, all).await.is_err());
    let burst = usize::try_from(settings.log_burst).unwrap();
    for address in both() {
        let of = |pod: usize| {
            told.iter()
                .filter(move |denial| denial.source == address(pod))
        };
        assert!(
            (1..=burst + 10).contains(&of(OTHER).count()),
            "{}",
            of(OTHER).count()
        );
        let quiet: Vec<_> = of(WEB).collect();
        assert_eq!(quiet.len(), 1, "{quiet:?}");
        assert_eq!(quiet[0].destination, address(OTHER));
        assert_eq!(
            (quiet[0].protocol, quiet[0].ports.map(|ports| ports.1)),
            (17, Some(9))
        );
        assert_eq!(quiet[0].side, Side::Policies(Direction::Egress));
        assert_eq!(quiet[0].enforcement, Enforcement::Enforce);
    }
}

/// Every denied packet is to be told.
fn without_a_limit() -> Settings {
    Settings {
        log_rate: 1_000_000,
        log_burst: 1_000_000,
        ..Settings::default()
    }
}

/// Sends this many packets that are denied, ten in a millisecond at most. Says how long it
/// took.
fn send_denied(network: &Network, count: u16, in_a_millisecond: u16) -> Duration {
    let socket = udp(network.pod(OTHER), v4(OTHER));
    let start = Instant::now();
    for number in 0..count {
        socket.send_to(&number.to_be_bytes(), (v4(DB), 9)).unwrap();
        let due = Duration::from_millis(u64::from(number / in_a_millisecond));
        std::thread::sleep(due.saturating_sub(start.elapsed()));
    }
    start.elapsed()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_denials_a_second_are_all_told() {
    let network = shop().await;
    let settings = without_a_limit();
    let namespace = network.node.netns();
    let denials = Denials::listen(namespace, settings.log_group)
        .await
        .unwrap();
    let _enforcer = enforce_with(&network, &settings).await;
    let (count, mut told) = (20_000, 0);
    let took = std::thread::scope(|scope| {
        let sending = scope.spawn(|| send_denied(&network, count, 10));
        let all = denials.read(|denial| {
            assert!(denial.is_some(), "nothing is lost");
            told += 1;
            match told < count {
                true => ControlFlow::Continue(()),
                false => ControlFlow::Break(()),
            }
        });
        let runtime = tokio::runtime::Handle::current();
        let read = tokio::task::block_in_place(|| {
            runtime.block_on(tokio::time::timeout(Duration::from_secs(60), all))
        });
        read.expect("all of them come").unwrap();
        sending.join().unwrap()
    });
    println!("{told} denials told, sent in {took:?}");
    assert_eq!(told, count);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn denials_that_nobody_read_in_time_are_told_as_lost_and_are_denied_all_the_same() {
    let network = shop().await;
    let settings = without_a_limit();
    let namespace = network.node.netns();
    let arrived = count_udp(network.pod(DB), v4(DB), 9);
    let control = udp(network.pod(OTHER), v4(OTHER));
    assert!(udp_echoes(&control, v4(DB), 9), "nothing denies yet");
    let denials = Denials::listen(namespace, settings.log_group)
        .await
        .unwrap();
    let _enforcer = enforce_with(&network, &settings).await;
    // Nobody reads meanwhile, and so much is not kept.
    send_denied(&network, u16::MAX, u16::MAX);
    let (mut told, mut lost) = (0_u32, 0_u32);
    let all = denials.read(|denial| {
        match denial {
            Some(_) => told += 1,
            None => lost += 1,
        }
        ControlFlow::Continue(())
    });
    // It never ends by itself.
    assert!(
        tokio::time::timeout(Duration::from_secs(3), all)
            .await
            .is_err()
    );
    println!("{told} denials told, {lost} times some were lost");
    assert!(told > 0 && lost > 0 && told < u32::from(u16::MAX));
    assert_eq!(arrived.load(Ordering::SeqCst), 1, "only the control");
}
