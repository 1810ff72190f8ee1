//! What is being done, on stderr while it lasts.

use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// What takes less than this is not worth a word.
const PATIENCE: Duration = Duration::from_millis(300);
const TICK: Duration = Duration::from_millis(100);

/// Work in progress; it is over when this is dropped.
#[derive(Debug)]
pub(crate) struct Working {
    /// Dropped to end the thread.
    over: Option<Sender<()>>,
    shown_by: Option<JoinHandle<()>>,
}

impl Working {
    /// Work that is not spoken of.
    pub(super) fn silent() -> Self {
        Self {
            over: None,
            shown_by: None,
        }
    }

    /// Shows `message` and how many of how many things are done, once the work has taken a
    /// while.
    pub(super) fn count(
        message: &'static str,
        done: impl Fn() -> (usize, usize) + Send + 'static,
    ) -> Self {
        let style = ProgressStyle::with_template("{msg} {bar:30} {pos}/{len}");
        let bar = ProgressBar::hidden().with_message(message);
        if let Ok(style) = style {
            bar.set_style(style);
        }
        Self::show(bar, move |bar| {
            let (done, all) = done();
            bar.set_length(all as u64);
            bar.set_position(done as u64);
        })
    }

    /// Shows `message` once the work has taken a while.
    pub(super) fn start(message: &'static str) -> Self {
        let bar = ProgressBar::hidden().with_message(message);
        bar.set_style(ProgressStyle::default_spinner());
        Self::show(bar, ProgressBar::tick)
    }

    fn show(bar: ProgressBar, tick: impl Fn(&ProgressBar) + Send + 'static) -> Self {
        let (over, is_over) = mpsc::channel::<()>();
        let shown_by = thread::spawn(move || {
            let goes_on = |wait| is_over.recv_timeout(wait) == Err(RecvTimeoutError::Timeout);
            if !goes_on(PATIENCE) {
                return;
            }
            bar.set_draw_target(ProgressDrawTarget::stderr());
            while goes_on(TICK) {
                tick(&bar);
            }
            bar.finish_and_clear();
        });
        Self {
            over: Some(over),
            shown_by: Some(shown_by),
        }
    }
}

impl Drop for Working {
    fn drop(&mut self) {
        self.over = None;
        if let Some(thread) = self.shown_by.take() {
            // It only draws; that it failed to is no reason to fail.
            let _ = thread.join();
        }
    }
}
