//! `check --why-open`: at which step a pod is open, and what to do.

use ringfence_advisor::Input;
use ringfence_advisor::why_open::{Answer, why_open};
use ringfence_model::snapshot::PodId;

use crate::args::InputOptions;
use crate::cluster::Cluster;
use crate::command::Stop;
use crate::endpoint::{EndpointArg, Resolver, TargetKind};
use crate::exit::Exit;
use crate::output::Printer;
use crate::output::formats::{Format, print};
use crate::output::why_open::Printed;

/// Walks the steps for the pods that `asked` names.
pub(super) fn run(
    asked: &EndpointArg,
    format: Format,
    cluster: &Cluster,
    input: &Input<'_>,
    options: &InputOptions,
    printer: &mut Printer,
) -> Result<Exit, Stop> {
    let snapshot = &*cluster.snapshot;
    let text = &asked.text;
    if asked.port.is_some() {
        return Err(anyhow::anyhow!("`{text}`: --why-open is about a pod, not a port").into());
    }
    let target = Resolver::new(snapshot, options.reading.namespace()).resolve(asked)?;
    let pods: Vec<PodId> = match target.kind {
        TargetKind::Pod(pod) => vec![pod],
        TargetKind::Workloads(workloads) => match workloads.as_slice() {
            [one] => snapshot.workload(*one).pod_ids().collect(),
            several => {
                let number = several.len();
                let one = "--why-open is about one";
                return Err(anyhow::anyhow!("`{text}` is {number} workloads: {one}").into());
            }
        },
        TargetKind::Service(_) | TargetKind::Addresses { .. } => {
            let wanted = "--why-open takes a workload or pod: NS/NAME or NS/KIND/NAME";
            return Err(anyhow::anyhow!("`{text}` is no pod: {wanted}").into());
        }
    };
    let working = printer.working("checking");
    let walk = why_open(input, &pods);
    drop(working);
    let Some(walk) = walk else {
        return Err(anyhow::anyhow!("`{text}` has no pod in the input").into());
    };
    print(
        &Printed {
            walk: &walk,
            snapshot,
            sources: &cluster.sources,
            diagnostics: &cluster.diagnostics,
            profile: &cluster.profile,
        },
        format,
        printer,
    )?;
    Ok(cluster.exit(match walk.conclusion.answer {
        Answer::Closed => Exit::Fine,
        Answer::Unknown | Answer::Open => Exit::No,
    }))
}
