//! A lab from its beginning to its end, for callers that have no runtime of their own.

use std::sync::Arc;

use ringfence_engine::{Engine, Profile};

use crate::enforcer::Nftables;
use crate::error::LabError;
use crate::lab::Lab;
use crate::probe::{Progress, Settings};
use crate::run::{Report, run};
use crate::schedule::Schedule;
use crate::topology::Cni;

/// How policies are to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Policies {
    /// They hold.
    #[default]
    Enforced,
    /// What they deny is told, and passes.
    Audited,
    /// Nobody knows of them.
    Ignored,
}

/// How a lab is built.
#[derive(Clone, Copy, Debug, Default)]
pub struct Building {
    /// How pods are connected to their nodes.
    pub cni: Cni,
    /// How policies are to hold.
    pub policies: Policies,
    /// How what the specification leaves open is read.
    pub profile: Profile,
    /// How patient probes are.
    pub probing: Settings,
}

/// A lab in which policies hold as asked, and what they say.
#[derive(Debug)]
pub struct Running {
    /// The lab.
    pub lab: Lab,
    /// What the policies say.
    pub engine: Engine,
    enforcer: Nftables,
}

impl Running {
    /// Builds a lab.
    ///
    /// # Errors
    /// If the kernel does not permit it, or lacks something that the lab needs.
    pub async fn start(schedule: Schedule, building: &Building) -> Result<Self, LabError> {
        let lab = Lab::build(schedule, building.cni, building.probing).await?;
        let enforcer = Nftables::default();
        let engine = hold(&lab, &enforcer, building).await?;
        Ok(Self {
            lab,
            engine,
            enforcer,
        })
    }

    /// Takes over another schedule with the same nodes. Where that fails, the lab is as it
    /// was.
    ///
    /// # Errors
    /// If nodes differ, or the kernel refuses.
    pub async fn update(
        &mut self,
        schedule: Schedule,
        building: &Building,
    ) -> Result<(), LabError> {
        self.lab.check(&schedule)?;
        let before = self.lab.schedule().clone();
        let Err(error) = self.become_another(schedule, building).await else {
            return Ok(());
        };
        // What is there is known, so the way back is a change like any other.
        match self.become_another(before, building).await {
            Ok(()) => Err(LabError::TakenBack(Box::new(error))),
            Err(again) => Err(LabError::HalfChanged {
                error: Box::new(error),
                again: Box::new(again),
            }),
        }
    }

    /// First goes what is gone, so that nobody has an address that policies take for somebody
    /// else's; then policies hold for what is to come; then it comes.
    async fn become_another(
        &mut self,
        schedule: Schedule,
        building: &Building,
    ) -> Result<(), LabError> {
        self.lab.take_over(schedule).await?;
        self.engine = hold(&self.lab, &self.enforcer, building).await?;
        self.lab.complete().await
    }
}

async fn hold(lab: &Lab, enforcer: &Nftables, building: &Building) -> Result<Engine, LabError> {
    let audit = building.policies == Policies::Audited;
    match building.policies {
        Policies::Ignored => Ok(Engine::compile(&lab.schedule().snapshot, building.profile)),
        Policies::Enforced | Policies::Audited => {
            lab.enforce(enforcer, building.profile, audit).await
        }
    }
}

/// Builds a lab, tries every connection in it, and takes it down.
///
/// # Errors
/// If there can be no lab, or a probe panicked.
pub fn run_to_the_end(
    schedule: Schedule,
    building: &Building,
    progress: &Arc<Progress>,
) -> Result<Report, LabError> {
    runtime()?.block_on(async {
        let running = Running::start(schedule, building).await?;
        let audit = building.policies == Policies::Audited;
        run(&running.lab, &running.engine, audit, progress).await
    })
}

pub(crate) fn runtime() -> Result<tokio::runtime::Runtime, LabError> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| LabError::Bug(format!("no runtime: {error}")))
}
