//! `check --standard`: the findings held against benchmarks and standards.

use clap::ValueEnum;
use ringfence_advisor::config::FailOn;
use ringfence_advisor::standards::{self, Standard, StandardResult, Status, assess};
use ringfence_advisor::{Input, Report};

use crate::cluster::Cluster;
use crate::command::Stop;
use crate::exit::Exit;
use crate::output::Printer;
use crate::output::formats::{Format, print};
use crate::output::standards::Printed;

/// `--standard`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum StandardArg {
    /// CIS Kubernetes Benchmark
    Cis,
    /// NSA/CISA Kubernetes Hardening Guide
    Nsa,
    /// PCI DSS, requirement 1
    Pci,
    /// NIST SP 800-190
    #[value(name = "nist-800-190")]
    Nist800190,
    /// All of them
    All,
}

impl StandardArg {
    fn id(self) -> Option<&'static str> {
        match self {
            Self::Cis => Some("cis"),
            Self::Nsa => Some("nsa"),
            Self::Pci => Some("pci"),
            Self::Nist800190 => Some("nist-800-190"),
            Self::All => None,
        }
    }
}

/// Holds the report against what was asked for.
pub(super) fn run(
    asked: &[StandardArg],
    format: Format,
    (input, report): (&Input<'_>, &Report),
    cluster: &Cluster,
    fail_on: Option<FailOn>,
    printer: &mut Printer,
) -> Result<Exit, Stop> {
    let wanted = |standard: &&&Standard| {
        let mut asked = asked.iter();
        asked.any(|arg| arg.id().is_none_or(|id| id == standard.id))
    };
    let chosen: Vec<&'static Standard> = standards::ALL.iter().filter(wanted).copied().collect();
    let results = assess(input, report, &chosen);
    print(
        &Printed {
            results: &results,
            snapshot: &cluster.snapshot,
            sources: &cluster.sources,
            diagnostics: &cluster.diagnostics,
            profile: &cluster.profile,
        },
        format,
        printer,
    )?;
    Ok(cluster.exit_of_check(exit(&results, fail_on)))
}

/// A control that fails is a no, unless `--fail-on` asks for something worse than what
/// fails it.
fn exit(results: &[StandardResult], fail_on: Option<FailOn>) -> Exit {
    let mut controls = results.iter().flat_map(|result| &result.controls);
    let fails = controls.any(|control| {
        let counts = |severity| fail_on.is_none_or(|fail_on| fail_on.fails(severity));
        control.status == Status::Fail && control.worst().is_some_and(counts)
    });
    match fails {
        true => Exit::No,
        false => Exit::Fine,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_standard_can_be_asked_for() {
        let mut ids: Vec<&str> = StandardArg::value_variants()
            .iter()
            .filter_map(|arg| arg.id())
            .collect();
        let mut known: Vec<&str> = standards::ALL.iter().map(|s| s.id).collect();
        ids.sort_unstable();
        known.sort_unstable();
        assert_eq!(ids, known);
    }
}
