//! A node and its pods: network namespaces that only reach each other.

use std::collections::BTreeSet;
use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use nlink::Connection;
use nlink::netlink::addr::{Ipv4Address, Ipv6Address};
use nlink::netlink::link::{BridgeLink, VethLink};
use nlink::netlink::namespace::Netns;
use nlink::netlink::nftables::{BaseChain, Chain, CtState, Family, FilterHook, Priority, Rule};
use nlink::netlink::route::{Ipv4Route, Ipv6Route};
use nlink::netlink::{Nftables, Route};
use ringfence_dataplane::compile::{Bridge, Node, Port};
use ringfence_dataplane::nft::{Connections, Enforcer, Table, TableName};
use ringfence_engine::{Engine, Profile};
use ringfence_model::parse::{self, Input, Limits};
use ringfence_model::snapshot::Snapshot;
use ringfence_model::snapshot::builder::{BuildOptions, SnapshotBuilder};

/// How long a packet is waited for that should not come.
pub(crate) const PATIENCE: Duration = Duration::from_millis(400);

/// How long one is waited for that must come. Only a test that fails takes so long.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// A namespace that is gone when the test is over, however it ends.
pub(crate) struct Namespace(Option<Netns>);

impl Namespace {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("rf-test-pkt-{}-{number}", std::process::id());
        let made = Netns::create(&name).expect("network namespaces can be made: root is needed");
        Self(Some(made))
    }

    pub(crate) fn netns(&self) -> &Netns {
        self.0.as_ref().expect("it is there until it is dropped")
    }

    fn links(&self) -> Connection<Route> {
        Connection::<Route>::new_in(self.netns()).expect("a netlink socket")
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        if let Some(namespace) = self.0.take() {
            namespace
                .delete()
                .expect("a namespace of this test goes away");
        }
    }
}

/// A node's namespace, and those of its pods by name.
pub(crate) struct Network {
    pub(crate) node: Namespace,
    pub(crate) pods: Vec<(&'static str, Namespace)>,
    /// Whether pods share a bridge; otherwise each has a link of its own.
    pub(crate) is_bridge: bool,
}

/// Every pod `n` has the addresses 10.9.n.2 and fd00:9:n::2.
pub(crate) fn v4(pod: usize) -> IpAddr {
    format!("10.9.{}.2", pod + 1).parse().unwrap()
}

pub(crate) fn v6(pod: usize) -> IpAddr {
    format!("fd00:9:{:x}::2", pod + 1).parse().unwrap()
}

/// The bridge that pods share.
pub(crate) const BRIDGE: &str = "cni0";
pub(crate) const BRIDGE_HARDWARE: [u8; 6] = [2, 0, 0, 0, 1, 0];

/// The hardware address of a pod on it.
pub(crate) fn hardware(pod: usize) -> [u8; 6] {
    [2, 0, 0, 0, 0, u8::try_from(pod).unwrap()]
}

/// Says of a node's pods that they are on the bridge.
pub(crate) fn bridged(node: &mut Node) {
    for endpoint in &mut node.endpoints {
        let endpoint = Arc::make_mut(endpoint);
        let Some(name) = endpoint.interface.take() else {
            continue;
        };
        let pod = name.strip_prefix("pod").unwrap().parse().unwrap();
        let hardware = hardware(pod);
        endpoint.port = Some(Port { name, hardware });
        endpoint.interface = Some(BRIDGE.to_owned());
    }
    let (name, hardware) = (BRIDGE.to_owned(), BRIDGE_HARDWARE);
    node.bridges = vec![Bridge { name, hardware }];
}

/// All pods of a bridge are in one network.
async fn set_up(links: &Connection<Route>, name: &str, v4: Ipv4Addr, v6: Ipv6Addr) {
    let v4 = Ipv4Address::new(name, v4, 16);
    links.add_address(v4).await.unwrap();
    let v6 = Ipv6Address::new(name, v6, 32).nodad();
    links.add_address(v6).await.unwrap();
    links.set_link_up(name).await.unwrap();
}

/// Addresses are ours as soon as they are set; nobody else could have them.
fn without_address_detection(sysctl: &nlink::netlink::namespace::Sysctl<'_>) {
    for which in ["all", "default"] {
        let key = format!("net.ipv6.conf.{which}.accept_dad");
        sysctl.set(&key, "0").unwrap();
    }
}

impl Network {
    pub(crate) async fn new(names: &[&'static str]) -> Self {
        let node = Namespace::new();
        let sysctl = node.netns().sysctl();
        sysctl.set("net.ipv4.ip_forward", "1").unwrap();
        sysctl.set("net.ipv6.conf.all.forwarding", "1").unwrap();
        without_address_detection(&sysctl);
        let mut pods = Vec::new();
        for (index, name) in names.iter().enumerate() {
            let pod = Namespace::new();
            let sysctl = pod.netns().sysctl();
            without_address_detection(&sysctl);
            let outer = format!("pod{index}");
            let veth = VethLink::new(&outer, "eth0").peer_netns_fd(pod.netns());
            let links = node.links();
            links.add_link(veth).await.unwrap();
            let inner = pod.links();
            let net = index + 1;
            for (links, name, host) in [(&links, outer.as_str(), 1), (&inner, "eth0", 2)] {
                let v4 = format!("10.9.{net}.{host}").parse().unwrap();
                let v6 = format!("fd00:9:{net:x}::{host}").parse().unwrap();
                links
                    .add_address(Ipv4Address::new(name, v4, 24))
                    .await
                    .unwrap();
                links
                    .add_address(Ipv6Address::new(name, v6, 64))
                    .await
                    .unwrap();
                links.set_link_up(name).await.unwrap();
                links.set_link_up("lo").await.unwrap();
            }
            let v4 = format!("10.9.{net}.1").parse().unwrap();
            let v6 = format!("fd00:9:{net:x}::1").parse().unwrap();
            let route = Ipv4Route::default_route().gateway(v4);
            inner.add_route(route).await.unwrap();
            let route = Ipv6Route::default_route().gateway(v6);
            inner.add_route(route).await.unwrap();
            pods.push((*name, pod));
        }
        Self {
            node,
            pods,
            is_bridge: false,
        }
    }

    /// The same pods on one bridge, whose address is 10.9.255.254 and fd00:9:ffff::1.
    pub(crate) async fn on_bridge(names: &[&'static str]) -> Self {
        let node = Namespace::new();
        let sysctl = node.netns().sysctl();
        sysctl.set("net.ipv4.ip_forward", "1").unwrap();
        sysctl.set("net.ipv6.conf.all.forwarding", "1").unwrap();
        for family in ["ip", "ip6"] {
            let key = format!("net.bridge.bridge-nf-call-{family}tables");
            sysctl.set(&key, "1").expect("the kernel has br_netfilter");
        }
        without_address_detection(&sysctl);
        let links = node.links();
        let bridge = BridgeLink::new(BRIDGE).address(BRIDGE_HARDWARE);
        links.add_link(bridge).await.unwrap();
        let (v4_node, v6_node) = ("10.9.255.254".parse(), "fd00:9:ffff::1".parse());
        let (v4_node, v6_node) = (v4_node.unwrap(), v6_node.unwrap());
        set_up(&links, BRIDGE, v4_node, v6_node).await;
        let mut pods = Vec::new();
        for (index, name) in names.iter().enumerate() {
            let pod = Namespace::new();
            without_address_detection(&pod.netns().sysctl());
            let outer = format!("pod{index}");
            let veth = VethLink::new(&outer, "eth0").peer_netns_fd(pod.netns());
            let veth = veth.peer_address(hardware(index));
            links.add_link(veth).await.unwrap();
            links.set_link_master(&*outer, BRIDGE).await.unwrap();
            links.set_link_up(&*outer).await.unwrap();
            let inner = pod.links();
            let (IpAddr::V4(own_v4), IpAddr::V6(own_v6)) = (v4(index), v6(index)) else {
                unreachable!()
            };
            set_up(&inner, "eth0", own_v4, own_v6).await;
            inner.set_link_up("lo").await.unwrap();
            let route = Ipv4Route::default_route().gateway(v4_node);
            inner.add_route(route).await.unwrap();
            let route = Ipv6Route::default_route().gateway(v6_node);
            inner.add_route(route).await.unwrap();
            pods.push((*name, pod));
        }
        Self {
            node,
            pods,
            is_bridge: true,
        }
    }

    /// The names alone, for what is said of pods whose namespaces somebody else has.
    pub(crate) fn of_names(names: &[&'static str], is_bridge: bool) -> Self {
        let pods = names.iter().map(|name| (*name, Namespace(None)));
        Self {
            node: Namespace(None),
            pods: pods.collect(),
            is_bridge,
        }
    }

    pub(crate) fn pod(&self, index: usize) -> &Netns {
        self.pods[index].1.netns()
    }

    /// These pods and some policies as manifests.
    pub(crate) fn manifests(&self, labels: &[(&str, &str)], policies: &str) -> String {
        let mut text = "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n".to_owned();
        for (index, (name, _)) in self.pods.iter().enumerate() {
            let extra = labels.iter().find(|(pod, _)| pod == name);
            let extra = extra.map_or(String::new(), |(_, label)| format!(", {label}"));
            text.push_str(&format!(
                "---\napiVersion: v1\nkind: Pod\n\
                 metadata: {{name: {name}, namespace: shop, labels: {{app: {name}{extra}}}}}\n\
                 spec:\n  nodeName: node-1\n  containers: [{{name: main, image: none}}]\n\
                 status: {{phase: Running, podIPs: [{{ip: {}}}, {{ip: \"{}\"}}]}}\n",
                v4(index),
                v6(index)
            ));
        }
        text.push_str("---\n");
        text.push_str(policies);
        text
    }

    /// The cluster that these pods and some policies are.
    pub(crate) fn engine(&self, labels: &[(&str, &str)], policies: &str) -> (Engine, Node) {
        self.engine_of(self.manifests(labels, policies))
    }

    /// The cluster that some manifests are, whose pods are behind the interfaces that
    /// have their addresses.
    pub(crate) fn engine_of(&self, text: String) -> (Engine, Node) {
        let input = Input {
            name: "test.yaml".to_owned(),
            bytes: text.into_bytes(),
        };
        let loaded = parse::load(vec![input], &Limits::default());
        assert!(loaded.diagnostics.is_empty(), "{:?}", loaded.diagnostics);
        let mut builder = SnapshotBuilder::new(BuildOptions::default());
        builder.add(loaded.objects);
        let (snapshot, _) = builder.build(&loaded.sources);
        let snapshot: Arc<Snapshot> = Arc::new(snapshot);
        let mut node = Node::from_snapshot(&snapshot, Some("node-1"));
        for endpoint in &mut node.endpoints {
            let mut pods = 0..self.pods.len();
            let index = pods.find(|index| endpoint.addresses.contains(&v4(*index)));
            Arc::make_mut(endpoint).interface = index.map(|index| format!("pod{index}"));
        }
        if self.is_bridge {
            bridged(&mut node);
        }
        (Engine::compile(&snapshot, Profile::default()), node)
    }
}

/// Enforces on a node.
pub(crate) async fn start(node: &Netns, engine: &Engine, what: &Node) -> Enforcer {
    let table = Table::in_namespace(node, TableName::default()).unwrap();
    let connections = Connections::in_namespace(node).unwrap();
    let started = Enforcer::start(table, connections, engine, what).await;
    started.expect("the ruleset is taken").0
}

/// Has the kernel track the connections of a node, as kube-proxy does. Without it, who opened
/// those from before the table is not known: whoever is seen first counts for it.
pub(crate) async fn track_connections(node: &Netns) {
    let nft = Connection::<Nftables>::new_in(node).unwrap();
    let base = BaseChain::filter(FilterHook::Forward, Priority::Filter);
    let chain = Chain::new("tracked", "forward").unwrap();
    let established = Rule::new("tracked", "forward").family(Family::Inet);
    let made = nft
        .transaction()
        .add_table("tracked", Family::Inet)
        .add_chain(chain.family(Family::Inet).base(base))
        .add_rule(established.match_ct_state(CtState::ESTABLISHED).accept());
    made.commit(&nft).await.unwrap();
}

/// Binds in a namespace; an address that was added a moment ago may not be usable yet.
pub(crate) fn when_usable<T: Send>(
    namespace: &Netns,
    bind: impl Fn() -> std::io::Result<T> + Send + Sync,
) -> T {
    let deadline = Instant::now() + DEADLINE;
    loop {
        match namespace.run(&bind).unwrap() {
            Ok(bound) => return bound,
            Err(error) => assert!(Instant::now() < deadline, "{error}"),
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Echoes on a TCP port of a namespace until the test is over.
pub(crate) fn serve_tcp(namespace: &Netns, address: IpAddr, port: u16) {
    let listener = when_usable(namespace, || {
        TcpListener::bind(SocketAddr::new(address, port))
    });
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { break };
            std::thread::spawn(move || {
                let mut buffer = [0; 64];
                while let Ok(read) = stream.read(&mut buffer) {
                    if read == 0 || stream.write_all(&buffer[..read]).is_err() {
                        break;
                    }
                }
            });
        }
    });
}

/// Echoes on a UDP port of a namespace until the test is over.
pub(crate) fn serve_udp(namespace: &Netns, address: IpAddr, port: u16) {
    count_udp(namespace, address, port);
}

/// The same, and counts what has come.
pub(crate) fn count_udp(namespace: &Netns, address: IpAddr, port: u16) -> Arc<AtomicU64> {
    let socket = when_usable(namespace, || {
        UdpSocket::bind(SocketAddr::new(address, port))
    });
    let come = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&come);
    std::thread::spawn(move || {
        let mut buffer = [0; 64];
        while let Ok((read, from)) = socket.recv_from(&mut buffer) {
            count.fetch_add(1, Ordering::SeqCst);
            // A reply that is not let through is what some tests are about.
            let _ = socket.send_to(&buffer[..read], from);
        }
    });
    come
}

/// The messages that have come to a UDP port.
pub(crate) type Received = Arc<Mutex<BTreeSet<Vec<u8>>>>;

/// Echoes on a UDP port of a namespace until the test is over, and keeps what comes.
pub(crate) fn record_udp(namespace: &Netns, address: IpAddr, port: u16) -> Received {
    let socket = when_usable(namespace, || {
        UdpSocket::bind(SocketAddr::new(address, port))
    });
    let received = Received::default();
    let kept = Arc::clone(&received);
    std::thread::spawn(move || {
        let mut buffer = [0; 64];
        while let Ok((read, from)) = socket.recv_from(&mut buffer) {
            kept.lock().unwrap().insert(buffer[..read].to_vec());
            let _ = socket.send_to(&buffer[..read], from);
        }
    });
    received
}

/// A connection that must come about. Until interfaces are up and neighbours are known, the
/// kernel may say that there is no way to it.
pub(crate) fn connect(namespace: &Netns, address: IpAddr, port: u16) -> Option<TcpStream> {
    let deadline = Instant::now() + DEADLINE;
    loop {
        let left = deadline.checked_duration_since(Instant::now())?;
        match try_to_connect(namespace, address, port, left) {
            Ok(stream) => return Some(stream),
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
                panic!("neither connected nor dropped: {error}")
            }
            Err(_) => std::thread::sleep(Duration::from_millis(10)),
        }
    }
}

/// Whether nothing comes of a connection.
pub(crate) fn is_dropped(namespace: &Netns, address: IpAddr, port: u16) -> bool {
    match try_to_connect(namespace, address, port, PATIENCE) {
        Ok(_) => false,
        Err(error) if error.kind() == ErrorKind::TimedOut => true,
        Err(error) => panic!("neither connected nor dropped: {error}"),
    }
}

fn try_to_connect(
    namespace: &Netns,
    address: IpAddr,
    port: u16,
    patience: Duration,
) -> std::io::Result<TcpStream> {
    let to = SocketAddr::new(address, port);
    let connecting = || TcpStream::connect_timeout(&to, patience);
    let stream = namespace.run(connecting).unwrap()?;
    stream.set_nodelay(true).unwrap();
    Ok(stream)
}

/// Whether what is said comes back, as it must.
pub(crate) fn echoes(stream: &mut TcpStream) -> bool {
    comes_back(stream, DEADLINE)
}

/// Whether nothing that is said comes back, as it must not.
pub(crate) fn is_cut(stream: &mut TcpStream) -> bool {
    !comes_back(stream, PATIENCE)
}

fn comes_back(stream: &mut TcpStream, patience: Duration) -> bool {
    stream.set_read_timeout(Some(patience)).unwrap();
    let mut buffer = [0; 4];
    stream.write_all(b"ping").is_ok() && stream.read_exact(&mut buffer).is_ok()
}

/// A socket that waits for what must come.
pub(crate) fn udp(namespace: &Netns, from: IpAddr) -> UdpSocket {
    let socket = when_usable(namespace, || UdpSocket::bind(SocketAddr::new(from, 0)));
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    socket
}

/// Waits until a datagram from one address to another is answered: the first ones may be
/// lost while interfaces come up. Late answers come to nobody.
pub(crate) fn come_up(namespace: &Netns, from: IpAddr, to: IpAddr, port: u16) {
    let socket = udp(namespace, from);
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let deadline = Instant::now() + DEADLINE;
    while !is_answered(&socket, to, port) {
        assert!(
            Instant::now() < deadline,
            "without rules everything arrives"
        );
    }
}

/// Whether a datagram is answered, as it must be: it is sent once.
pub(crate) fn udp_echoes(socket: &UdpSocket, to: IpAddr, port: u16) -> bool {
    is_answered(socket, to, port)
}

/// Whether a datagram is not answered, as it must not be.
pub(crate) fn udp_is_dropped(socket: &UdpSocket, to: IpAddr, port: u16) -> bool {
    let _ = socket.send_to(b"ping", SocketAddr::new(to, port));
    nothing_comes(socket)
}

/// Whether nothing comes to a socket, where nothing may.
pub(crate) fn nothing_comes(socket: &UdpSocket) -> bool {
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let read = socket.recv(&mut [0; 4096]);
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    read.is_err()
}

fn is_answered(socket: &UdpSocket, to: IpAddr, port: u16) -> bool {
    let mut buffer = [0; 4];
    // Refused while sending counts as no answer.
    socket.send_to(b"ping", SocketAddr::new(to, port)).is_ok() && socket.recv(&mut buffer).is_ok()
}
