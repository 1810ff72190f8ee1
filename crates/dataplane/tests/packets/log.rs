//! What is told of denied connections.

use std::net::{IpAddr, SocketAddr};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use ringfence_dataplane::compile::{Enforcement, Settings};
use ringfence_dataplane::nflog::{Denial, Denials, Event, Side, whose};
use ringfence_dataplane::nft::{Enforcer, Noisy};
use ringfence_model::policy::Direction;
use socket2::{Domain, Protocol, Socket, Type};

use crate::network::{
    DEADLINE, Network, PATIENCE, count_udp, nothing_comes, start, udp, udp_echoes, v4,
};
use crate::{DB, DENY_ALL, OTHER, WEB, WEB_TO_DB, both, change, shop, with_allow};

async fn enforce_with(network: &Network, settings: &Settings) -> Enforcer {
    let (engine, mut node) = network.engine(&[], &with_allow());
    node.settings = settings.clone();
    start(network.node.netns(), &engine, &node).await
}

/// A listener, and what enforces afterwards.
async fn listen(network: &Network, settings: &Settings) -> (Denials, Enforcer) {
    let listening = Denials::listen(network.node.netns(), settings.log_group);
    (
        listening.await.unwrap(),
        enforce_with(network, settings).await,
    )
}

/// The next event, if there is one within this time.
async fn next(denials: &mut Denials, patience: Duration) -> Option<Event> {
    let mut next = None;
    let one = denials.read(|event| {
        next = Some(event);
        ControlFlow::Break(())
    });
    if let Ok(read) = tokio::time::timeout(patience, one).await {
        read.unwrap();
    }
    next
}

/// The denials that are told: so many must be, and then until nothing comes any more. None may
/// be lost.
async fn told(denials: &mut Denials, least: usize) -> Vec<Denial> {
    let mut told = Vec::new();
    let deadline = Instant::now() + DEADLINE;
    loop {
        let patience = match told.len() < least {
            true => deadline.saturating_duration_since(Instant::now()),
            false => PATIENCE,
        };
        match next(denials, patience).await {
            Some(Event::Denied(denial)) => told.push(denial),
            Some(lost) => panic!("{lost:?}"),
            None => break,
        }
    }
    assert!(told.len() >= least, "{told:?}");
    told
}

#[tokio::test]
async fn a_noisy_pod_does_not_hide_a_quiet_one_and_what_is_not_told_of_it_is_counted() {
    let network = shop().await;
    let settings = Settings::default();
    let (mut denials, enforcer) = listen(&network, &settings).await;
    assert!(enforcer.suppressed().await.unwrap().is_empty());
    let (noise, ports) = (10_000, 1_000);
    for address in both() {
        let noisy = udp(network.pod(OTHER), address(OTHER));
        for number in 0..noise {
            let port = 1_000 + number % ports;
            noisy.send_to(b"noise", (address(DB), port)).unwrap();
        }
        let quiet = udp(network.pod(WEB), address(WEB));
        quiet.send_to(b"once", (address(OTHER), 9)).unwrap();
    }
    // As many as the limit lets through at once, and the one of the quiet pod, in each family.
    let least = usize::try_from(settings.log_burst).unwrap() + 1;
    let told = told(&mut denials, 2 * least).await;
    let suppressed = enforcer.suppressed().await.unwrap();
    for address in both() {
        let of = |pod: usize| {
            told.iter()
                .filter(move |denial| denial.source == address(pod))
        };
        let noisy = of(OTHER).count();
        let burst = usize::try_from(settings.log_burst).unwrap();
        assert!(noisy >= burst, "{noisy}");
        let kept_back = suppressed[&Noisy::Pod(address(OTHER), Direction::Egress)];
        println!("{}: {noisy} told, {kept_back} not", address(OTHER));
        assert_eq!(noisy as u64 + kept_back, u64::from(noise));
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
    // Of nobody else, and the other side is not asked where one denies already.
    assert_eq!(suppressed.len(), 2, "{suppressed:?}");
}

#[tokio::test]
async fn a_long_packet_that_is_denied_is_told_as_a_short_one_is() {
    let network = shop().await;
    let (mut denials, _enforcer) = listen(&network, &Settings::default()).await;
    let lengths = [1, 80, 100, 101, 200, 1_200, 20_000];
    for address in both() {
        let socket = udp(network.pod(WEB), address(WEB));
        for length in lengths {
            let to = (address(OTHER), 9);
            socket.send_to(&vec![0; length], to).unwrap();
        }
    }
    let told = told(&mut denials, 14).await;
    for address in both() {
        let told = told.iter().filter(|denial| denial.source == address(WEB));
        let ports: Vec<_> = told.map(|denial| denial.ports.map(|it| it.1)).collect();
        assert_eq!(ports, [Some(9); 7], "{:?}", address(WEB));
    }
}

#[tokio::test]
async fn what_is_only_audited_is_told_for_both_sides_and_arrives() {
    let network = shop().await;
    let settings = Settings::default();
    let (mut denials, mut enforcer) = listen(&network, &settings).await;
    let (engine, mut node) = network.engine(&[], DENY_ALL);
    for endpoint in &mut node.endpoints {
        Arc::make_mut(endpoint).enforcement = Enforcement::Audit;
    }
    enforcer.update(&engine, &node).await.unwrap();
    let of_connection = |told: &[Denial], from: SocketAddr, to: SocketAddr| {
        let sides = [Direction::Egress, Direction::Ingress].map(Side::Policies);
        assert_eq!(told.iter().map(|it| it.side).collect::<Vec<_>>(), sides);
        for denial in told {
            assert_eq!(denial.enforcement, Enforcement::Audit);
            let ends = (denial.source, denial.destination);
            assert_eq!(ends, (from.ip(), to.ip()));
            assert_eq!(denial.ports, Some((from.port(), to.port())));
        }
        let pods = told.iter().map(|it| whose(&engine, it).unwrap().pod);
        let names = pods.map(|pod| engine.snapshot().pod(pod).name.to_string());
        assert_eq!(names.collect::<Vec<_>>(), ["other", "db"]);
    };
    for address in both() {
        let (other, db) = (
            udp(network.pod(OTHER), address(OTHER)),
            udp(network.pod(DB), address(DB)),
        );
        let (from, to) = (other.local_addr().unwrap(), db.local_addr().unwrap());
        other.send_to(b"ping", to).unwrap();
        db.recv(&mut [0; 4]).expect("it is only audited");
        of_connection(&told(&mut denials, 2).await, from, to);
        db.send_to(b"pong", from).unwrap();
        other.recv(&mut [0; 4]).expect("a reply is not judged");
        assert_eq!(told(&mut denials, 0).await, []);
        // The connection is judged again, and the first packet of it is a reply.
        let mut all = node.endpoints.iter_mut();
        let another = all.find(|it| &*it.name == "shop/web").unwrap();
        Arc::make_mut(another).closed ^= true;
        enforcer.update(&engine, &node).await.unwrap();
        db.send_to(b"pong", from).unwrap();
        other.recv(&mut [0; 4]).expect("it is only audited");
        of_connection(&told(&mut denials, 2).await, from, to);
    }
}

#[tokio::test]
async fn what_is_kept_back_is_counted_for_the_pod_whose_policies_deny() {
    let network = shop().await;
    let settings = Settings::default();
    let (mut denials, mut enforcer) = listen(&network, &settings).await;
    let (_, db_from_web) = WEB_TO_DB.rsplit_once("---").unwrap();
    change(&mut enforcer, &network, db_from_web).await;
    let noise = 100;
    for address in both() {
        let noisy = udp(network.pod(OTHER), address(OTHER));
        for _ in 0..noise {
            noisy.send_to(b"noise", (address(DB), 9)).unwrap();
        }
    }
    let told = told(&mut denials, 2).await;
    let suppressed = enforcer.suppressed().await.unwrap();
    for address in both() {
        let of = told.iter().filter(|it| it.destination == address(DB));
        let pod = Noisy::Pod(address(DB), Direction::Ingress);
        assert_eq!(of.count() as u64 + suppressed[&pod], noise);
    }
    assert_eq!(suppressed.len(), 2, "{suppressed:?}");
}

#[tokio::test]
async fn who_forges_addresses_is_counted_by_its_interface_and_hides_nobody() {
    let network = shop().await;
    let settings = Settings::default();
    let (mut denials, enforcer) = listen(&network, &settings).await;
    let noise = 600_u16;
    for number in 0..noise {
        // As many addresses as packets.
        let [high, low] = number.to_be_bytes();
        let forged = IpAddr::from([10, 200, high, low]);
        crate::add_address(network.pod(OTHER), forged, 32).await;
        let forging = udp(network.pod(OTHER), forged);
        forging.send_to(b"forged", (v4(DB), 9)).unwrap();
    }
    let quiet = udp(network.pod(WEB), v4(WEB));
    quiet.send_to(b"once", (v4(OTHER), 9)).unwrap();
    let told = told(&mut denials, 2).await;
    let suppressed = enforcer.suppressed().await.unwrap();
    let is_forged = |denial: &&Denial| denial.side == Side::ForgedSource;
    let forged = told.iter().filter(is_forged).count();
    let interface = Noisy::Interface(format!("pod{OTHER}"));
    assert_eq!(forged as u64 + suppressed[&interface], u64::from(noise));
    assert_eq!(suppressed.len(), 1, "{suppressed:?}");
    let of_quiet = told.iter().filter(|denial| denial.source == v4(WEB));
    assert_eq!(of_quiet.count(), 1);
    // Whoever has the address did not do it.
    let (engine, _) = network.engine(&[], &with_allow());
    let forged = told.iter().filter(is_forged);
    assert!(forged.clone().all(|it| whose(&engine, it).is_none()));
}

#[tokio::test]
async fn a_reply_of_a_connection_that_is_cut_tells_who_opened_it_and_whose_policies_cut_it() {
    let network = shop().await;
    let settings = Settings::default();
    let policies = with_allow().replace(", ports: [{port: 5432}, {port: 53, protocol: UDP}]", "");
    let (mut denials, mut enforcer) = listen(&network, &settings).await;
    change(&mut enforcer, &network, &policies).await;
    for address in both() {
        let (web, db) = (
            udp(network.pod(WEB), address(WEB)),
            udp(network.pod(DB), address(DB)),
        );
        let (from, to) = (web.local_addr().unwrap(), db.local_addr().unwrap());
        web.send_to(b"ping", to).unwrap();
        db.recv(&mut [0; 4]).expect("it is allowed");
        change(&mut enforcer, &network, DENY_ALL).await;
        db.send_to(b"pong", from).unwrap();
        assert!(nothing_comes(&web), "it is not any more");
        let told = told(&mut denials, 1).await;
        let [cut] = &told[..] else {
            panic!("{told:?}");
        };
        assert_eq!((cut.source, cut.destination), (from.ip(), to.ip()));
        assert_eq!(cut.ports, Some((from.port(), to.port())));
        assert_eq!(cut.side, Side::Policies(Direction::Egress));
        let (engine, _) = network.engine(&[], DENY_ALL);
        let isolated = whose(&engine, cut).expect("it is a pod's");
        assert_eq!(&*engine.snapshot().pod(isolated.pod).name, "web");
        let names = isolated.policies.iter().map(|(policy, _)| {
            let policy = engine.snapshot().policy(*policy);
            String::from(&*policy.name)
        });
        assert_eq!(names.collect::<Vec<_>>(), ["default-deny-all"]);
        change(&mut enforcer, &network, &policies).await;
    }
}

#[tokio::test]
async fn what_is_forged_is_told_also_where_its_protocol_cannot_be_read() {
    let network = shop().await;
    let (mut denials, _enforcer) = listen(&network, &Settings::default()).await;
    let forged = IpAddr::from([10, 200, 0, 1]);
    crate::add_address(network.pod(OTHER), forged, 32).await;
    let protocols = [Protocol::ICMPV4, Protocol::TCP, Protocol::UDP];
    for protocol in protocols {
        let raw = || Socket::new(Domain::IPV4, Type::RAW, Some(protocol));
        let socket = network.pod(OTHER).run(raw).unwrap().unwrap();
        socket.bind(&SocketAddr::new(forged, 0).into()).unwrap();
        // The headers of all of them are longer.
        let to = SocketAddr::new(v4(DB), 0);
        socket.send_to(b"abc", &to.into()).unwrap();
    }
    let told = told(&mut denials, protocols.len()).await;
    let told = told
        .iter()
        .map(|it| (it.side, it.source, it.protocol, it.ports));
    let wanted = [1, 6, 17].map(|protocol| (Side::ForgedSource, forged, protocol, None));
    assert_eq!(told.collect::<Vec<_>>(), wanted);
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
    let (mut denials, _enforcer) = listen(&network, &settings).await;
    let (count, mut told) = (20_000, 0);
    let took = std::thread::scope(|scope| {
        let sending = scope.spawn(|| send_denied(&network, count, 10));
        let all = denials.read(|event| {
            assert!(matches!(event, Event::Denied(_)), "nothing is lost");
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
async fn denials_that_nobody_read_in_time_are_counted_as_lost_and_are_denied_all_the_same() {
    let network = shop().await;
    let settings = without_a_limit();
    let arrived = count_udp(network.pod(DB), v4(DB), 9);
    let control = udp(network.pod(OTHER), v4(OTHER));
    assert!(udp_echoes(&control, v4(DB), 9), "nothing denies yet");
    let (mut denials, enforcer) = listen(&network, &settings).await;
    let (mut sent, mut told, mut lost) = (0, 0, 0);
    for round in 1..=2 {
        // Nobody reads meanwhile, and so much is not kept.
        send_denied(&network, u16::MAX, u16::MAX);
        let mut overrun = 0;
        while let Some(event) = next(&mut denials, Duration::from_secs(1)).await {
            match event {
                Event::Denied(_) => told += 1,
                Event::Lost(some) => lost += u64::from(some),
                Event::Overrun => overrun += 1,
                Event::DeniedFrame(frame) => panic!("there is no bridge: {frame:?}"),
            }
        }
        assert!(overrun > 0, "that some are lost is told at once");
        // How many, with the next one.
        send_denied(&network, 1, 1);
        loop {
            match next(&mut denials, DEADLINE).await.expect("it is told") {
                Event::Lost(some) => lost += u64::from(some),
                Event::Denied(_) => break,
                Event::Overrun | Event::DeniedFrame(_) => {}
            }
        }
        told += 1;
        sent += u64::from(u16::MAX) + 1;
        println!("round {round}: {sent} denied, {told} told, {lost} lost");
        assert!(told > 1 && lost > 0);
        assert_eq!(told + lost, sent);
    }
    assert!(enforcer.suppressed().await.unwrap().is_empty());
    assert_eq!(arrived.load(Ordering::SeqCst), 1, "only the control");
}
