//! What is measured: connections, round trips, bulk.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use nlink::netlink::namespace::Netns;

use crate::network::{connect, udp, v4};
use crate::{DB, WEB};

const CONNECTIONS: usize = 1_000;
const ROUND_TRIPS: usize = 3_000;
const BULK: Duration = Duration::from_millis(400);

/// Accepts and closes on one port, and takes all that comes on the next.
pub(crate) fn serve(namespace: &Netns, port: u16) {
    for (port, drains) in [(port, false), (port + 1, true)] {
        let to = SocketAddr::new(v4(DB), port);
        let listener = namespace.run(|| TcpListener::bind(to)).unwrap().unwrap();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut buffer = vec![0; 1 << 17];
                while drains && stream.read(&mut buffer).is_ok_and(|read| read > 0) {}
            }
        });
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
    pub(crate) fn measure(namespace: &Netns) -> Self {
        let to = SocketAddr::new(v4(DB), 7000);
        let connects = namespace.run(|| {
            let connect = |_| {
                let start = Instant::now();
                let stream = TcpStream::connect(to).unwrap();
                let took = start.elapsed();
                drop(stream);
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

/// Gigabits a second of one connection.
pub(crate) fn bulk(namespace: &Netns) -> f64 {
    let mut stream = connect(namespace, v4(DB), 7001).unwrap();
    let (buffer, start, mut sent) = (vec![0; 1 << 17], Instant::now(), 0_usize);
    while start.elapsed() < BULK {
        sent += stream.write(&buffer).unwrap();
    }
    let bits = f64::from(u32::try_from(sent >> 10).unwrap()) * 8.0 * 1024.0;
    bits / start.elapsed().as_secs_f64() / 1e9
}

/// The median and the 99th percentile, in microseconds.
fn quantiles(mut values: Vec<Duration>) -> [f64; 2] {
    values.sort_unstable();
    [50, 99].map(|of_hundred| values[values.len() * of_hundred / 100].as_secs_f64() * 1e6)
}

pub(crate) fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
