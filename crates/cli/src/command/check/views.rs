//! Other views on what `check` finds: one pod, or the controls of a standard.

use clap::Args;

use super::standards::{self, StandardArg};
use crate::command::Stop;
use crate::endpoint::EndpointArg;
use crate::output::check::Format as CheckFormat;
use crate::output::formats::Format;

/// The options that choose a view.
#[derive(Debug, Args)]
#[command(next_help_heading = "Views")]
pub(crate) struct ViewOptions {
    /// Walk through the reasons why this pod is open: NS/NAME or NS/KIND/NAME
    ///
    /// Exits with 0 when it is not open as far as manifests tell, and with 1 otherwise.
    #[arg(long, value_name = "NS/POD", conflicts_with_all = [
        "standards", "select", "ignore", "fail_on", "show_suppressed", "fix", "unsafe_fixes",
        "diff",
    ])]
    why_open: Option<EndpointArg>,

    /// Hold the findings against the controls of a standard; separated by commas,
    /// repeatable
    ///
    /// Exits with 1 when a control fails; with --fail-on, when something of that severity
    /// fails it.
    #[arg(long = "standard", value_name = "STANDARD", value_delimiter = ',')]
    #[arg(value_parser = standards::names())]
    #[arg(conflicts_with_all = ["show_suppressed", "fix", "unsafe_fixes", "diff"])]
    standards: Vec<StandardArg>,
}

/// What is shown instead of the findings.
#[derive(Clone, Copy, Debug)]
pub(super) enum View<'a> {
    WhyOpen(&'a EndpointArg, Format),
    Standards(&'a [StandardArg], Format),
}

impl ViewOptions {
    /// The view that was asked for.
    ///
    /// # Errors
    /// If it has no such format.
    pub(super) fn chosen(&self, format: CheckFormat) -> Result<Option<View<'_>>, Stop> {
        if self.why_open.is_none() && self.standards.is_empty() {
            return Ok(None);
        }
        let format = match format {
            CheckFormat::Human => Format::Human,
            CheckFormat::Json => Format::Json,
            CheckFormat::Yaml => Format::Yaml,
            CheckFormat::Markdown => Format::Markdown,
            _ => {
                let option = match self.why_open {
                    Some(_) => "--why-open",
                    None => "--standard",
                };
                let known = "human, json, yaml and markdown";
                return Err(anyhow::anyhow!("the formats of {option} are {known}").into());
            }
        };
        Ok(Some(match &self.why_open {
            Some(asked) => View::WhyOpen(asked, format),
            None => View::Standards(&self.standards, format),
        }))
    }
}
