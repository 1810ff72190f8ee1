//! `check --standard`: the findings held against benchmarks and standards.

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
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
#[derive(Clone, Copy, Debug)]
pub(crate) enum StandardArg {
    One(&'static Standard),
    All,
}

impl StandardArg {
    fn means(self, standard: &Standard) -> bool {
        match self {
            Self::One(one) => one.id == standard.id,
            Self::All => true,
        }
    }
}

/// The standards that there are, by their names, and all of them.
pub(super) fn names() -> impl TypedValueParser<Value = StandardArg> {
    let one = standards::ALL.map(|s| PossibleValue::new(s.id).help(s.title));
    let all = PossibleValue::new("all").help("All of them");
    let names = PossibleValuesParser::new(one.into_iter().chain([all]));
    names.map(|name| {
        let mut known = standards::ALL.into_iter();
        let one = known.find(|standard| standard.id == name);
        one.map_or(StandardArg::All, StandardArg::One)
    })
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
    let wanted = |standard: &&Standard| asked.iter().any(|arg| arg.means(standard));
    let chosen: Vec<&'static Standard> = standards::ALL.into_iter().filter(wanted).collect();
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
        let parser = names();
        let values = parser.possible_values().unwrap();
        let ids: Vec<String> = values.map(|value| value.get_name().to_owned()).collect();
        let mut ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        ids.retain(|id| *id != "all");
        let mut known: Vec<&str> = standards::ALL.iter().map(|s| s.id).collect();
        ids.sort_unstable();
        known.sort_unstable();
        assert_eq!(ids, known);
    }
}
