//! Colours, all in one place. Without colour every style is empty.

use anstyle::{AnsiColor, Style};
use ringfence_engine::Verdict;

/// The styles of human output.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Theme {
    pub(crate) colored: bool,
    /// Headings and names that a line is about.
    pub(crate) strong: Style,
    /// What can be skipped in reading.
    pub(crate) dim: Style,
    pub(crate) allowed: Style,
    pub(crate) denied: Style,
    pub(crate) unknown: Style,
    /// What deserves a look: the internet, bypassed policies.
    pub(crate) warning: Style,
    /// What gives credentials away.
    pub(crate) danger: Style,
}

impl Theme {
    /// The theme for a stream that does or does not show colours.
    pub(crate) fn new(colored: bool) -> Self {
        if !colored {
            return Self::default();
        }
        Self {
            colored,
            strong: Style::new().bold(),
            dim: Style::new().dimmed(),
            allowed: AnsiColor::Green.on_default().bold(),
            denied: AnsiColor::Red.on_default().bold(),
            unknown: AnsiColor::Magenta.on_default().bold(),
            warning: AnsiColor::Yellow.on_default(),
            danger: AnsiColor::Red.on_default(),
        }
    }

    /// The style of a verdict.
    pub(crate) fn verdict(&self, verdict: Verdict) -> Style {
        match verdict {
            Verdict::Allowed => self.allowed,
            Verdict::Denied => self.denied,
            Verdict::Unknown => self.unknown,
        }
    }
}
