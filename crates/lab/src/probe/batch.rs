//! Many probes at once, with controls before and after.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::send::{Learnt, look_up, observed, send};
use super::{Kind, Observation, Observed, Probe};
use crate::error::LabError;
use crate::station::{Arrivals, Station, Trace};

/// How patient a prober is, and how busy.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// How long an answer may take.
    pub wait: Duration,
    /// How many probes are on their way at once.
    pub at_once: usize,
    /// How long an answer may take where a first attempt was not answered and an answer
    /// was due.
    pub second_wait: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            wait: Duration::from_millis(900),
            at_once: 1500,
            second_wait: Duration::from_secs(4),
        }
    }
}

/// How far a batch is; cheap to read from elsewhere.
#[derive(Debug, Default)]
pub struct Progress {
    /// Probes that are done.
    pub done: AtomicUsize,
    /// All of them.
    pub all: AtomicUsize,
}

/// Sends probes between stations.
#[derive(Clone, Debug)]
pub struct Prober {
    /// By their numbers.
    stations: Arc<BTreeMap<usize, Arc<Station>>>,
    arrivals: Arc<Arrivals>,
    settings: Settings,
    next: Arc<AtomicU64>,
}

impl Prober {
    /// A prober without stations, to which those are added whose arrivals are noted there.
    #[must_use]
    pub fn new(arrivals: Arc<Arrivals>, settings: Settings) -> Self {
        // Two runs are not to know each other's numbers, and none is to look like the
        // beginning of a question to a name server.
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let start = now.map_or(1, |since| since.subsec_nanos());
        Self {
            stations: Arc::default(),
            arrivals,
            settings,
            next: Arc::new(AtomicU64::new(
                0xffff << 48 | u64::from(start & 0x00ff_ffff) << 24 | 1,
            )),
        }
    }

    /// The station with this number.
    #[must_use]
    pub fn station(&self, number: usize) -> Option<&Arc<Station>> {
        self.stations.get(&number)
    }

    /// Sends probes from one more station.
    pub fn add(&mut self, station: Station) {
        let stations = Arc::make_mut(&mut self.stations);
        stations.insert(station.index(), Arc::new(station));
    }

    /// Keeps the stations of which this is true.
    pub fn retain(&mut self, stays: impl Fn(usize) -> bool) {
        Arc::make_mut(&mut self.stations).retain(|number, _| stays(*number));
    }

    /// Where it is noted what arrives.
    #[must_use]
    pub fn arrivals(&self) -> &Arc<Arrivals> {
        &self.arrivals
    }

    /// The settings.
    #[must_use]
    pub fn settings(&self) -> Settings {
        self.settings
    }

    /// Sends one probe.
    pub async fn probe(&self, probe: &Probe, wait: Duration) -> Observation {
        let started = Instant::now();
        let failed = |why: &str, observed| Observation {
            observed,
            arrived: None,
            took: started.elapsed(),
            detail: Some(why.to_owned()),
        };
        let Some(station) = self.stations.get(&probe.from) else {
            return failed("there is no such station", Observed::Inconclusive);
        };
        let nonce = self.next.fetch_add(1, Ordering::Relaxed);
        if let Some((name, server)) = &probe.name
            && !look_up(station, name, *server, probe.to, nonce, wait).await
        {
            return failed("the name was not resolved", Observed::DnsFailed);
        }
        let sent = send(station, probe, nonce, wait, &self.arrivals).await;
        let arrived = match sent.trace {
            Some(trace) => self.arrival(trace, &sent.learnt).await,
            None => None,
        };
        if let Some(trace) = sent.trace {
            self.arrivals.forget(trace);
        }
        let (mut observed, detail) = observed(&sent.learnt, arrived.is_some());
        if probe.kind == Kind::Question && observed == Observed::Dropped {
            observed = Observed::DnsFailed;
        }
        Observation {
            observed,
            arrived,
            took: started.elapsed(),
            detail,
        }
    }

    /// Where a probe arrived. Who refused it may have been quicker than the ear that notes
    /// it, on a busy machine by a lot.
    async fn arrival(&self, trace: Trace, learnt: &Learnt) -> Option<usize> {
        let waits: &[u64] = match learnt {
            Learnt::Answered | Learnt::Opened(_) | Learnt::NotSent(_) => &[0],
            Learnt::Silence => &[0, 20],
            Learnt::Refused(_) => &[0, 5, 20, 50, 100, 200, 400, 800],
        };
        for wait in waits {
            if *wait > 0 {
                tokio::time::sleep(Duration::from_millis(*wait)).await;
            }
            let arrived = self.arrivals.at(trace);
            if arrived.is_some() {
                return arrived;
            }
        }
        None
    }

    /// Sends all probes, and says of each what became of it, in their order. `due` says
    /// which should be answered: one of those that is not is tried once more, with more
    /// patience, so that a busy machine is not taken for a policy.
    ///
    /// # Errors
    /// If a probe panicked.
    pub async fn probe_all(
        &self,
        probes: &[Probe],
        due: &[bool],
        progress: &Arc<Progress>,
    ) -> Result<Vec<Observation>, LabError> {
        progress.all.store(probes.len(), Ordering::Relaxed);
        progress.done.store(0, Ordering::Relaxed);
        let room = Arc::new(Semaphore::new(self.settings.at_once));
        let mut running = JoinSet::new();
        for (index, probe) in probes.iter().enumerate() {
            let (prober, probe) = (self.clone(), probe.clone());
            let (room, progress) = (Arc::clone(&room), Arc::clone(progress));
            let is_due = due.get(index).copied().unwrap_or(false);
            running.spawn(async move {
                // Never closed, so there is always a place in the end.
                let place = room.acquire().await;
                let mut observation = prober.probe(&probe, prober.settings.wait).await;
                let surprising = match is_due {
                    true => observation.observed.passed() != Some(true),
                    false => observation.observed == Observed::Inconclusive,
                };
                if surprising {
                    let patient = prober.settings.second_wait;
                    observation = prober.probe(&probe, patient).await;
                }
                drop(place);
                progress.done.fetch_add(1, Ordering::Relaxed);
                (index, observation)
            });
        }
        let mut done: Vec<Option<Observation>> = vec![None; probes.len()];
        while let Some(result) = running.join_next().await {
            let (index, observation) =
                result.map_err(|error| LabError::Bug(format!("a probe: {error}")))?;
            if let Some(slot) = done.get_mut(index) {
                *slot = Some(observation);
            }
        }
        let all: Option<Vec<Observation>> = done.into_iter().collect();
        all.ok_or_else(|| LabError::Bug("a probe was lost".to_owned()))
    }
}
