//! From the options to a snapshot, with the input's problems told on the way.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use ringfence_advisor::context::{Inventory, assumed_name_servers};
use ringfence_engine::{Engine, Profile};
use ringfence_model::diagnostic::{Diagnostic, Severity};
use ringfence_model::parse::{self, Limits, Object, Sources};
use ringfence_model::snapshot::Snapshot;
use ringfence_model::snapshot::builder::{BuildOptions, SnapshotBuilder};
use ringfence_model::source::FileId;

use crate::args::{InputOptions, ReadingOptions};
use crate::command::Stop;
use crate::diagnostics;
use crate::exit::Exit;
use crate::input::{self, Files, InputError};
use crate::output::{Printer, visible};
use crate::unread::Unread;

/// How many files or kinds an error names.
const MOST_NAMED: usize = 5;

/// How many documents are looked at for their kinds.
const MOST_LOOKED_AT: usize = 1000;

/// What findings need to know beyond the snapshot.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    /// What the snapshot leaves out of the objects.
    pub(crate) inventory: Inventory,
    /// Whether name servers were added because the input has none.
    pub(crate) assumed_dns: bool,
}

/// What was read, and how it is to be judged.
#[derive(Debug)]
pub(crate) struct Cluster {
    /// The cluster that the manifests describe.
    pub(crate) snapshot: Arc<Snapshot>,
    /// Their texts.
    pub(crate) sources: Sources,
    /// What was wrong with them.
    pub(crate) diagnostics: Vec<Diagnostic>,
    /// The policies among what was left out.
    pub(crate) unread: Unread,
    /// How implementations differ.
    pub(crate) profile: Profile,
    /// Whether the input has no object at all that is about pods or policies.
    is_empty: bool,
    /// How many texts there are.
    texts: usize,
}

impl Cluster {
    /// Reads everything that the options name, and prints what is wrong with it.
    ///
    /// # Errors
    /// If an input cannot be read at all; broken documents are no error here.
    pub(crate) fn read(options: &InputOptions, printer: &mut Printer) -> Result<Self, Stop> {
        let files = read_files(options, printer)?;
        let cluster = Self::from_files(files, &options.reading, printer);
        cluster.must_have_objects("nothing to look at")?;
        Ok(cluster)
    }

    /// Reads everything that the options name, with what findings need besides, and with
    /// name servers if the input has none.
    ///
    /// # Errors
    /// If an input cannot be read at all; broken documents are no error here.
    pub(crate) fn read_for_check(
        options: &InputOptions,
        printer: &mut Printer,
    ) -> Result<(Self, Facts), Stop> {
        let files = read_files(options, printer)?;
        let (cluster, facts) = Self::for_check(files, &options.reading, printer);
        diagnostics::print(&cluster.problems(), &cluster.sources, printer);
        cluster.must_have_something_to_check()?;
        Ok((cluster, facts))
    }

    /// Refuses an input of which there is nothing to find anything in: a pipe whose first
    /// command has failed must not look like manifests without a flaw.
    ///
    /// # Errors
    /// If no object was read, and nothing that was left out says why.
    pub(crate) fn must_have_something_to_check(&self) -> Result<(), Stop> {
        self.must_have_objects("nothing to check")
    }

    /// Refuses an input that was named and has no object; none that was named at all is
    /// fine.
    ///
    /// # Errors
    /// If no object was read, and nothing that was left out says why.
    pub(crate) fn must_have_objects(&self, nothing: &str) -> Result<(), Stop> {
        if !self.is_empty || self.texts == 0 || diagnostics::is_incomplete(&self.diagnostics) {
            return Ok(());
        }
        Err(no_objects(nothing, &self.sources, self.texts))
    }

    /// Reads everything that the options name, with what findings need besides, and with
    /// what `stand_ins` adds to it: objects, and whether name servers are among them. No
    /// input at all is fine where `may_be_empty`. What is wrong is not printed.
    ///
    /// # Errors
    /// If an input cannot be read at all; broken documents are no error here.
    pub(crate) fn read_with(
        options: &InputOptions,
        may_be_empty: bool,
        printer: &mut Printer,
        stand_ins: impl FnOnce(&[Object]) -> (Vec<Object>, bool),
    ) -> Result<(Self, Facts), Stop> {
        let files = match may_be_empty && options.filenames.is_empty() {
            true => Files::default(),
            false => read_files(options, printer)?,
        };
        Ok(Self::with_facts(
            files,
            &options.reading,
            printer,
            stand_ins,
        ))
    }

    /// Builds the snapshot of texts that were read already, with what findings need
    /// besides, and with name servers if the input has none. Says nothing about problems.
    pub(crate) fn for_check(
        files: Files,
        reading: &ReadingOptions,
        printer: &Printer,
    ) -> (Self, Facts) {
        Self::with_facts(files, reading, printer, |objects| {
            let assumed = assumed_name_servers(objects);
            let is_assumed = !assumed.is_empty();
            (assumed, is_assumed)
        })
    }

    fn with_facts(
        files: Files,
        reading: &ReadingOptions,
        printer: &Printer,
        stand_ins: impl FnOnce(&[Object]) -> (Vec<Object>, bool),
    ) -> (Self, Facts) {
        let mut facts = Facts::default();
        let cluster = Self::build(files, reading, printer, |objects| {
            facts.inventory = Inventory::of(objects, reading.namespace());
            let (added, assumed_dns) = stand_ins(objects);
            facts.assumed_dns = assumed_dns;
            objects.extend(added);
        });
        (cluster, facts)
    }

    /// Builds the snapshot of texts that were read already.
    pub(crate) fn from_files(
        files: Files,
        reading: &ReadingOptions,
        printer: &mut Printer,
    ) -> Self {
        let cluster = Self::build(files, reading, printer, |_| ());
        diagnostics::print(&cluster.diagnostics, &cluster.sources, printer);
        cluster
    }

    /// Builds the snapshot of texts, of the objects in them as `prepare` leaves them.
    fn build(
        files: Files,
        reading: &ReadingOptions,
        printer: &Printer,
        prepare: impl FnOnce(&mut Vec<Object>),
    ) -> Self {
        let working = printer.working("reading manifests");
        let texts = files.inputs.len();
        let mut loaded = parse::load(files.inputs, &Limits::default());
        let is_empty = loaded.objects.is_empty();
        prepare(&mut loaded.objects);
        let mut diagnostics = files.problems;
        diagnostics.extend(loaded.diagnostics);
        let mut builder = SnapshotBuilder::new(BuildOptions {
            default_namespace: reading.namespace().to_owned(),
            pod_cidrs: reading.pod_cidrs.clone(),
            families: reading.families(),
        });
        builder.add(loaded.objects);
        let (snapshot, of_build) = builder.build(&loaded.sources);
        diagnostics.extend(of_build);
        drop(working);
        Self {
            snapshot: Arc::new(snapshot),
            sources: loaded.sources,
            unread: Unread::new(&diagnostics, reading.namespace()),
            diagnostics,
            profile: reading.profile(),
            is_empty,
            texts,
        }
    }

    /// The engine for this snapshot and profile.
    pub(crate) fn engine(&self, printer: &Printer) -> Engine {
        let _working = printer.working("compiling policies");
        Engine::compile(&self.snapshot, self.profile)
    }

    /// What is wrong with the input and is no finding: what keeps it from being read.
    pub(crate) fn problems(&self) -> Vec<Diagnostic> {
        let problems = self.diagnostics.iter();
        let problems = problems.filter(|d| ringfence_advisor::code_of(d).is_none());
        problems.cloned().collect()
    }

    /// How a run of `check` ends: to it, a policy that cannot be read is a finding.
    pub(crate) fn exit_of_check(&self, answer: Exit) -> Exit {
        let is_error = |d: &Diagnostic| d.severity == Severity::Error;
        // All that there is was left out with a warning: no findings means nothing.
        let says_nothing = self.is_empty && !self.diagnostics.iter().any(is_error);
        match says_nothing || diagnostics::is_incomplete(&self.problems()) {
            true => answer.and(Exit::BadInput),
            false => answer,
        }
    }

    /// How a run ends whose answer is `answer`.
    pub(crate) fn exit(&self, answer: Exit) -> Exit {
        if diagnostics::is_incomplete(&self.diagnostics) {
            answer.and(Exit::BadInput)
        } else {
            answer
        }
    }
}

/// That there is nothing to do, because none of the first so many texts has an object.
pub(crate) fn no_objects(nothing: &str, sources: &Sources, texts: usize) -> Stop {
    let files = (0..).map(FileId).take(texts);
    let names: Vec<String> = files
        .clone()
        .take(MOST_NAMED)
        .map(|file| format!("`{}`", sources.name(file)))
        .collect();
    let more = match texts.saturating_sub(names.len()) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let kinds = kinds(sources, files);
    let why = match kinds.is_empty() {
        true => "there is no document in it".to_owned(),
        false => format!(
            "it has {}, and neither workloads nor policies, namespaces or Services",
            kinds.join(", ")
        ),
    };
    let names = names.join(", ");
    anyhow::anyhow!("{nothing}: no objects were read from {names}{more}: {why}").into()
}

/// Some of the kinds that the texts have, in the order of names.
fn kinds(sources: &Sources, files: impl Iterator<Item = FileId>) -> Vec<String> {
    let documents = files.flat_map(|file| {
        let count = u32::try_from(sources.documents(file)).unwrap_or(u32::MAX);
        (0..count).map(move |index| (file, index))
    });
    let kinds: BTreeSet<String> = documents
        .take(MOST_LOOKED_AT)
        .filter_map(|(file, index)| {
            let meaning = sources.meaning(file, index)?;
            match meaning.get("kind").and_then(|kind| kind.as_str()) {
                Some(kind) => Some(visible::line(kind).to_string()),
                None if meaning.is_null() => None,
                None => Some("what is no manifest".to_owned()),
            }
        })
        .collect();
    kinds.into_iter().take(MOST_NAMED).collect()
}

/// Reads the files that the options name.
///
/// # Errors
/// If one cannot be read at all.
pub(crate) fn read_files(options: &InputOptions, printer: &mut Printer) -> Result<Files, Stop> {
    read_paths(&options.filenames, printer)
}

/// Reads these files.
///
/// # Errors
/// If one cannot be read at all.
pub(crate) fn read_paths(paths: &[PathBuf], printer: &mut Printer) -> Result<Files, Stop> {
    let working = printer.working("reading files");
    let files = input::read(paths, &Limits::default());
    drop(working);
    files.map_err(|errors| stop(&errors, printer))
}

/// Prints input errors and stops.
pub(crate) fn stop(errors: &[InputError], printer: &mut Printer) -> Stop {
    for error in errors {
        printer.error(error);
    }
    Stop::Told
}
