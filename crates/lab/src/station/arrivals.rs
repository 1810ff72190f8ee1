use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// By what a probe is known again where it arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Trace {
    /// The source of a TCP connection: no other has it as long as its socket is open.
    Tcp(IpAddr, u16),
    /// The number that is in the packet.
    Nonce(u64),
}

/// What arrived where: the other end of every probe.
#[derive(Debug, Default)]
pub struct Arrivals {
    /// By trace, the numbers of the stations.
    seen: Mutex<HashMap<Trace, HashSet<usize>>>,
}

impl Arrivals {
    /// Notes that something arrived at a station.
    pub fn note(&self, trace: Trace, station: usize) {
        self.lock().entry(trace).or_default().insert(station);
    }

    /// Where it arrived: the lowest number, if there are several.
    #[must_use]
    pub fn at(&self, trace: Trace) -> Option<usize> {
        self.all(trace).first().copied()
    }

    /// Everywhere it arrived, in the order of numbers; what comes back arrives as well.
    #[must_use]
    pub fn all(&self, trace: Trace) -> Vec<usize> {
        let mut all: Vec<usize> = self
            .lock()
            .get(&trace)
            .into_iter()
            .flatten()
            .copied()
            .collect();
        all.sort_unstable();
        all
    }

    /// Forgets it: what comes next under the same trace is another.
    pub fn forget(&self, trace: Trace) {
        self.lock().remove(&trace);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Trace, HashSet<usize>>> {
        // A map is whole between any two calls, whoever panicked.
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
