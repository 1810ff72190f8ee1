//! What can be typed: options that several verbs share, and the verbs.

use std::path::PathBuf;

use clap::builder::Styles;
use clap::builder::styling::{AnsiColor, Style};
use clap::{Args, Parser, Subcommand, ValueEnum};
use ipnet::IpNet;
use ringfence_engine::Profile;
use ringfence_engine::profile::ProfileName;
use ringfence_model::address::IpFamily;

use crate::command::{assert, baseline, check, completions, diff, explain, lab, man, reach};
use crate::output::shell;

const EXIT_CODES: &str = "\
Exit codes:
  0  fine: everything was read, and the answer is as asked
  1  no: `explain` found a connection that is not certainly allowed, an assertion
     failed, `check` found something at or above --fail-on, `diff --exit-code` found
     a difference, or in `lab run` a packet did something else than predicted
  2  bad usage, or bad input: every broken document is named on stderr, and what
     could be read is still answered";

const STYLES: Styles = Styles::styled()
    .header(Style::new().bold())
    .usage(Style::new().bold())
    .literal(AnsiColor::Cyan.on_default())
    .placeholder(Style::new());

/// Default-deny egress for Kubernetes that actually denies.
///
/// Answers from manifests, without a cluster: who can reach whom, and why. Reads
/// NetworkPolicy, ClusterNetworkPolicy, AdminNetworkPolicy and
/// BaselineAdminNetworkPolicy together, as one evaluation.
#[derive(Debug, Parser)]
#[command(name = "ringfence", version, styles = STYLES, after_help = EXIT_CODES)]
#[command(subcommand_required = true, arg_required_else_help = true)]
#[command(max_term_width = 100)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: GlobalOptions,

    #[command(subcommand)]
    pub(crate) verb: Verb,
}

/// Options of every verb.
#[derive(Debug, Args)]
pub(crate) struct GlobalOptions {
    /// When to colour; `auto` colours on a terminal unless NO_COLOR is set
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    #[arg(help_heading = "Global options", hide_possible_values = false)]
    pub(crate) color: ColorWhen,

    /// Print no warnings and no summaries; errors and answers are still printed
    #[arg(short, long, global = true, help_heading = "Global options")]
    pub(crate) quiet: bool,
}

/// When to colour the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ColorWhen {
    Auto,
    Always,
    Never,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    Check(check::CheckArgs),
    Reach(reach::ReachArgs),
    Explain(explain::ExplainArgs),
    Diff(diff::DiffArgs),
    Assert(assert::AssertArgs),
    Baseline(baseline::BaselineArgs),
    Lab(lab::LabArgs),
    Completions(completions::CompletionsArgs),
    Man(man::ManArgs),
}

/// What the answer is computed from.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Input")]
pub(crate) struct InputOptions {
    /// Manifests: a file, a directory (read recursively: *.yaml, *.yml, *.json), or `-`
    /// for standard input; repeatable
    ///
    /// Hidden files and directories (`.git`, `.github`) inside a directory are not
    /// read. YAML and JSON, several documents in a file, `List` kinds and the output
    /// of `kubectl get -o yaml` all work.
    #[arg(short = 'f', long = "filename", value_name = "PATH")]
    pub(crate) filenames: Vec<PathBuf>,

    #[command(flatten)]
    pub(crate) reading: ReadingOptions,
}

impl InputOptions {
    /// The options as they would be typed, each with a space before it, for a command that
    /// is to answer from the same input in the same way.
    pub(crate) fn as_typed(&self) -> String {
        let mut typed = String::new();
        let mut add = |option: &str, value: &str| {
            typed.push_str(&format!(" {option} {}", shell::word(value)));
        };
        for path in &self.filenames {
            add("-f", &path.to_string_lossy());
        }
        let reading = &self.reading;
        if let Some(namespace) = &reading.namespace {
            add("-n", namespace);
        }
        for cidr in &reading.pod_cidrs {
            add("--pod-cidr", &cidr.to_string());
        }
        let families = reading.ip_family.and_then(|f| f.to_possible_value());
        if let Some(family) = families {
            add("--ip-family", family.get_name());
        }
        if reading.profile != ProfileName::default().as_str() {
            add("--profile", &reading.profile);
        }
        if let (OwnNode::Strict, Some(rule)) =
            (reading.own_node, reading.own_node.to_possible_value())
        {
            add("--own-node", rule.get_name());
        }
        typed
    }
}

/// How manifests are read and judged.
#[derive(Clone, Debug, Args)]
pub(crate) struct ReadingOptions {
    /// The namespace of objects and endpoints that name none [default: default]
    #[arg(short, long, value_name = "NAMESPACE")]
    pub(crate) namespace: Option<String>,

    /// A range that pods get their addresses from; repeatable
    ///
    /// Without it, it is often not known whether a policy's `ipBlock` covers a pod that has
    /// no address yet, and such verdicts are Unknown. `spec.podCIDR` of nodes does not
    /// bound pods: a node may be added.
    #[arg(long = "pod-cidr", value_name = "CIDR")]
    pub(crate) pod_cidrs: Vec<IpNet>,

    /// The address families of pods whose addresses are not known [default: told from
    /// known addresses and pod ranges, otherwise ipv4]
    #[arg(long, alias = "families", value_name = "FAMILY")]
    pub(crate) ip_family: Option<FamilyChoice>,

    /// How the data plane reads what the specification leaves open
    #[arg(long, value_name = "PROFILE", default_value = "upstream")]
    #[arg(value_parser = clap::builder::PossibleValuesParser::new(PROFILES))]
    pub(crate) profile: String,

    /// Whether a pod reaches the node it runs on whatever its policies say
    #[arg(long, value_name = "RULE", default_value = "allow")]
    pub(crate) own_node: OwnNode,
}

const PROFILES: [&str; 4] = ["upstream", "calico", "cilium", "aws"];

impl ReadingOptions {
    /// The namespace of what names none.
    pub(crate) fn namespace(&self) -> &str {
        self.namespace.as_deref().unwrap_or("default")
    }

    /// The profile with its switches set.
    pub(crate) fn profile(&self) -> Profile {
        let name: ProfileName = self.profile.parse().unwrap_or_default();
        let profile = Profile::named(name);
        match self.own_node {
            OwnNode::Allow => profile,
            OwnNode::Strict => profile.strict_own_node(),
        }
    }

    /// The families that were asked for.
    pub(crate) fn families(&self) -> Option<Vec<IpFamily>> {
        self.ip_family.map(|choice| match choice {
            FamilyChoice::Ipv4 => vec![IpFamily::V4],
            FamilyChoice::Ipv6 => vec![IpFamily::V6],
            FamilyChoice::Dual => IpFamily::ALL.to_vec(),
        })
    }
}

/// `--ip-family`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum FamilyChoice {
    Ipv4,
    Ipv6,
    Dual,
}

/// `--own-node`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum OwnNode {
    /// As the Kubernetes documentation says
    Allow,
    /// Judged by its policies like any other destination
    Strict,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[derive(Debug, Parser)]
    struct OnlyInput {
        #[command(flatten)]
        input: InputOptions,
    }

    #[test]
    fn the_input_is_typed_again_as_it_was() {
        for typed in [
            " -f manifests/ -f 'my files/a.yaml' -n shop --pod-cidr 10.0.0.0/8 --ip-family dual \
             --profile cilium --own-node strict",
            " -f -",
            "",
        ] {
            let words = format!("ringfence{typed}").replace("'my files/a.yaml'", "my?files/a.yaml");
            let words = words.split(' ').map(|word| word.replace('?', " "));
            let only = OnlyInput::parse_from(words);
            assert_eq!(only.input.as_typed(), typed);
        }
    }

    #[test]
    fn the_profiles_offered_are_those_that_exist() {
        let known: Vec<&str> = ProfileName::ALL.iter().map(|p| p.as_str()).collect();
        assert_eq!(known, PROFILES);
    }
}
