//! `check --fix` and `check --diff`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use anyhow::Context as _;
use ringfence_advisor::fix::{Checked, Repair, plan, repair};
use ringfence_advisor::{Options, Safety};
use ringfence_model::parse::Input;

use super::{CheckArgs, asked, look};
use crate::cluster::{Cluster, Facts, read_files};
use crate::command::Stop;
use crate::diagnostics;
use crate::exit::Exit;
use crate::input::{Files, Place};
use crate::output::Printer;
use crate::output::changes;
use crate::output::check::Format;
use crate::write_back::{self, Target};

/// What was done.
pub(super) enum Fixed {
    /// The changes were printed.
    Diff(Exit),
    /// The changes were made; this is the cluster with them.
    Written(Box<Cluster>, Facts),
}

/// Reads, makes the fixes, and prints or writes them.
pub(super) fn run(
    args: &CheckArgs,
    options: &Options,
    printer: &mut Printer,
) -> Result<Fixed, Stop> {
    let files = read_files(&args.input, printer)?;
    let Files {
        inputs,
        places,
        problems,
    } = files;
    if args.fix && places.contains(&Place::Stdin) && args.output != Format::Human {
        let why = "with `--fix`, standard output is the text that was read from standard input";
        return Err(anyhow::anyhow!("{why}: leave `-o` out, or fix files").into());
    }
    let targets: Vec<Result<Target, String>> = places.iter().map(write_back::target).collect();
    let originals: Vec<Input> = inputs.clone();
    let most = match args.unsafe_fixes {
        true => Safety::Unsafe,
        false => Safety::Safe,
    };
    let reading = &args.input.reading;
    let build = |inputs: Vec<Input>| {
        let files = Files {
            inputs,
            places: Vec::new(),
            problems: problems.clone(),
        };
        Cluster::for_check(files, reading, printer)
    };
    let may_edit = |index: usize| targets.get(index).is_some_and(Result::is_ok);
    let done = repair(inputs, most, may_edit, |inputs| {
        let (cluster, facts) = build(inputs);
        let engine = cluster.engine(printer);
        let report = look(&asked(&cluster, &facts, &engine, options), printer);
        let sources = cluster.sources;
        Checked { report, sources }
    });
    let mut inputs = originals.clone();
    for (index, text) in &done.changed {
        if let Some(input) = inputs.get_mut(*index) {
            input.bytes = text.clone().into_bytes();
        }
    }
    let (cluster, facts) = build(inputs);
    diagnostics::print(&cluster.problems(), &cluster.sources, printer);
    cluster.must_have_something_to_check()?;
    tell_obstacles(&done, &targets, &places, most, printer);
    let texts = texts(&done, &originals);
    if args.diff {
        let mut shown = Vec::new();
        for (name, before, after) in texts.values() {
            changes::write(name, before, after, printer.theme(), &mut shown)?;
        }
        printer.verbatim(&shown)?;
        tell_counts(&done, "would fix", most, printer);
        let exit = match texts.is_empty() {
            true => Exit::Fine,
            false => Exit::No,
        };
        return Ok(Fixed::Diff(cluster.exit_of_check(exit)));
    }
    for (index, target) in targets.iter().enumerate() {
        match (target, texts.get(&index), originals.get(index)) {
            (Ok(Target::File(path)), Some((name, before, after)), _) => {
                write_back::replace(path, before, after)
                    .with_context(|| format!("`{name}` cannot be written"))?;
            }
            // What comes in goes out, changed or not: it is a filter.
            (Ok(Target::Stdout), Some((_, _, after)), _) => {
                printer.verbatim(after.as_bytes())?;
            }
            (Ok(Target::Stdout), None, Some(original)) => {
                printer.verbatim(&original.bytes)?;
            }
            _ => {}
        }
    }
    tell_counts(&done, "fixed", most, printer);
    Ok(Fixed::Written(Box::new(cluster), facts))
}

/// The texts that changed: what they are called, how they were and how they are.
fn texts<'a>(
    done: &'a Repair,
    originals: &'a [Input],
) -> BTreeMap<usize, (&'a str, &'a str, &'a str)> {
    let changed = done.changed.iter().filter_map(|(index, after)| {
        let original = originals.get(*index)?;
        // Only what is UTF-8 is ever changed.
        let before = std::str::from_utf8(&original.bytes).ok()?;
        (before != after).then_some((*index, (original.name.as_str(), before, after.as_str())))
    });
    changed.collect()
}

/// Says which fixes there are that were not made, and why.
fn tell_obstacles(
    done: &Repair,
    targets: &[Result<Target, String>],
    places: &[Place],
    most: Safety,
    printer: &mut Printer,
) {
    for refused in &done.refused {
        let (code, object, title) = (refused.code, &refused.object, &refused.title);
        printer.note(format_args!(
            "{code} of {object} is not fixed ({title}): {}",
            refused.why
        ));
    }
    let mut wanted: BTreeSet<usize> = BTreeSet::new();
    for finding in &done.after.report.findings {
        let fix = finding.fix.as_ref().filter(|fix| fix.safety <= most);
        let planned = fix.and_then(|fix| plan(&done.after.sources, fix).ok());
        wanted.extend(planned.iter().flatten().map(|r| r.file.0 as usize));
    }
    for index in wanted {
        if let (Some(Err(why)), Some(Place::File { path, .. })) =
            (targets.get(index), places.get(index))
        {
            let path: &PathBuf = path;
            printer.note(format_args!("`{}` is not changed: {why}", path.display()));
        }
    }
}

fn tell_counts(done: &Repair, verb: &str, most: Safety, printer: &mut Printer) {
    let counted = |count: usize, one: &str| match count {
        1 => format!("1 {one}"),
        count => format!("{count} {one}s"),
    };
    let findings = &done.after.report.findings;
    let fixable = findings.iter().filter_map(|f| f.fix.as_ref());
    let held_back = fixable.filter(|fix| fix.safety > most).count();
    let hint = match held_back {
        0 => String::new(),
        count => format!(" ({count} can be fixed with `--unsafe-fixes`)"),
    };
    printer.note(format_args!(
        "{verb} {} in {}, {} left{hint}",
        counted(done.fixed, "finding"),
        counted(done.changed.len(), "file"),
        findings.len()
    ));
}
