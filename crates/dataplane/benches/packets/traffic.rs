//! What is measured: connections, round trips, bulk.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;
use socket2::SockRef;

use crate::network::{Network, connect, serve_udp, udp, v4};
use crate::{DB, WEB};

const CONNECTIONS: usize = 1_000;
const ROUND_TRIPS: usize = 2_000;
const BULK: Duration = Duration::from_millis(50);

/// The processor of the thread that measures and of who answers a datagram, and that of who
/// takes connections. Left to itself, the scheduler decides anew each time, which differs by
/// more than what is measured.
const HERE: usize = 0;
const NEXT: usize = 1;

pub(crate) fn stay_here() {
    stay_on(HERE);
}

pub(crate) fn stay_next() {
    stay_on(NEXT);
}

fn stay_on(processor: usize) {
    let mut only = CpuSet::new();
    only.set(processor).unwrap();
    // With one processor there is nothing to choose.
    let _ = sched_setaffinity(Pid::from_raw(0), &only);
}

/// Bulk connections: to somebody on the same processor, and on the next one.
pub(crate) struct Bulk {
    pub(crate) here: TcpStream,
    pub(crate) next: TcpStream,
}

/// Accepts and closes on one port, takes all that comes on others, and answers UDP.
pub(crate) fn serve(network: &Network) -> Bulk {
    let namespace = network.pod(DB);
    for (port, processor) in [(7000, NEXT), (7001, HERE), (7002, NEXT)] {
        let to = SocketAddr::new(v4(DB), port);
        let listener = namespace.run(|| TcpListener::bind(to)).unwrap().unwrap();
        std::thread::spawn(move || {
            stay_on(processor);
            for stream in listener.incoming() {
                // Whoever asked may have gone already.
                let Ok(mut stream) = stream else { continue };
                let mut buffer = vec![0; 1 << 17];
                let drains = port != 7000;
                while drains && stream.read(&mut buffer).is_ok_and(|read| read > 0) {}
            }
        });
    }
    serve_udp(namespace, v4(DB), 53);
    let bulk = |port| connect(network.pod(WEB), v4(DB), port).expect("it is up");
    Bulk {
        here: bulk(7001),
        next: bulk(7002),
    }
}

/// What one kind of ruleset took in one round, in microseconds.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Figures {
    pub(crate) connect_p50: f64,
    pub(crate) connect_p99: f64,
    pub(crate) round_trip_p50: f64,
    pub(crate) round_trip_p99: f64,
}

impl Figures {
    pub(crate) fn measure(network: &Network) -> Self {
        let namespace = network.pod(WEB);
        let to = SocketAddr::new(v4(DB), 7000);
        let connects = namespace.run(|| {
            let connect = |_| {
                let start = Instant::now();
                let stream = TcpStream::connect(to).unwrap();
                let took = start.elapsed();
                // Ended by a reset, it leaves no port and no entry behind for minutes.
                let socket = SockRef::from(&stream);
                socket.set_linger(Some(Duration::ZERO)).unwrap();
                took
            };
            (0..CONNECTIONS).map(connect).collect::<Vec<_>>()
        });
        let socket = udp(namespace, v4(WEB));
        socket.connect(SocketAddr::new(v4(DB), 53)).unwrap();
        let round_trip = |_| {
            let start = Instant::now();
            socket.send(b"ping").unwrap();
            socket.recv(&mut [0; 8]).unwrap();
            start.elapsed()
        };
        let [connect_p50, connect_p99] = quantiles(connects.unwrap());
        let [round_trip_p50, round_trip_p99] =
            quantiles((0..ROUND_TRIPS).map(round_trip).collect());
        Self {
            connect_p50,
            connect_p99,
            round_trip_p50,
            round_trip_p99,
        }
    }
}

/// Gigabits a second of one connection, which was opened before: how fast one becomes is
/// not asked.
pub(crate) fn bulk(mut stream: &TcpStream) -> f64 {
    let buffer = vec![0; 1 << 17];
    let mut send_for = |time: Duration| {
        let (start, mut sent) = (Instant::now(), 0_usize);
        while start.elapsed() < time {
            sent += stream.write(&buffer).unwrap();
        }
        let bits = f64::from(u32::try_from(sent >> 10).unwrap()) * 8.0 * 1024.0;
        bits / start.elapsed().as_secs_f64() / 1e9
    };
    send_for(BULK / 5);
    send_for(BULK)
}

/// The median and the 99th percentile, in microseconds.
fn quantiles(mut values: Vec<Duration>) -> [f64; 2] {
    values.sort_unstable();
    [50, 99].map(|of_hundred| values[values.len() * of_hundred / 100].as_secs_f64() * 1e6)
}

/// The median and the quartiles.
pub(crate) fn quartiles(values: impl Iterator<Item = f64>) -> [f64; 3] {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    [2, 1, 3].map(|quarters| values[(values.len() - 1) * quarters / 4])
}

pub(crate) fn median(values: impl Iterator<Item = f64>) -> f64 {
    quartiles(values)[0]
}
