//! The one place that writes to stdout and stderr.

use std::fmt;
use std::io::{self, BufWriter, IsTerminal as _, Write};

use anstream::{AutoStream, ColorChoice};

use super::Theme;
use super::progress::Working;
use super::visible::Filter;
use crate::args::ColorWhen;

/// Lines are cut to this where nothing says how wide the terminal is, so that what
/// goes into a pipe does not depend on who reads it.
const DEFAULT_WIDTH: usize = 100;
const NARROWEST: usize = 40;

/// Owns stdout and stderr.
pub(crate) struct Printer {
    out: BufWriter<Stream>,
    err: Stream,
    out_theme: Theme,
    err_theme: Theme,
    width: usize,
    quiet: bool,
}

impl Printer {
    /// A printer on the process's streams.
    pub(crate) fn new(color: ColorWhen, quiet: bool) -> Self {
        let (stdout, stderr) = (io::stdout(), io::stderr());
        let colored = |choice: ColorChoice| match color {
            ColorWhen::Always => true,
            ColorWhen::Never => false,
            ColorWhen::Auto => choice != ColorChoice::Never,
        };
        let out_theme = Theme::new(colored(AutoStream::choice(&stdout)));
        let err_theme = Theme::new(colored(AutoStream::choice(&stderr)));
        let width = match terminal_size::terminal_size_of(&stdout) {
            Some((terminal_size::Width(width), _)) if stdout.is_terminal() => usize::from(width),
            _ => DEFAULT_WIDTH,
        };
        Self {
            out: BufWriter::with_capacity(
                1 << 16,
                Stream::new(Box::new(stdout), out_theme.colored),
            ),
            err: Stream::new(Box::new(stderr), err_theme.colored),
            out_theme,
            err_theme,
            width: width.max(NARROWEST),
            quiet,
        }
    }

    /// Where the answer goes.
    pub(crate) fn out(&mut self) -> &mut dyn Write {
        &mut self.out
    }

    /// Bytes of a file, as they are unless they go to a terminal.
    ///
    /// # Errors
    /// If stdout cannot be written.
    pub(crate) fn verbatim(&mut self, bytes: &[u8]) -> io::Result<()> {
        if io::stdout().is_terminal() {
            return self.out.write_all(bytes);
        }
        self.out.flush()?;
        self.out.get_mut().inner.write_all(bytes)
    }

    /// The colours of the answer.
    pub(crate) fn theme(&self) -> Theme {
        self.out_theme
    }

    /// The colours of stderr.
    pub(crate) fn err_theme(&self) -> Theme {
        self.err_theme
    }

    /// How many columns the answer may take.
    pub(crate) fn width(&self) -> usize {
        self.width
    }

    /// Whether warnings and summaries are wanted.
    pub(crate) fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// A line on stderr, with `error:` in front.
    pub(crate) fn error(&mut self, message: impl fmt::Display) {
        let style = self.err_theme.denied;
        self.err_line(format_args!("{style}error{style:#}: {message}"));
    }

    /// A line on stderr, with `note:` in front; not when quiet.
    pub(crate) fn note(&mut self, message: impl fmt::Display) {
        if !self.quiet {
            let style = self.err_theme.strong;
            self.err_line(format_args!("{style}note{style:#}: {message}"));
        }
    }

    /// A line on stderr.
    pub(crate) fn err_line(&mut self, message: impl fmt::Display) {
        // There is nowhere left to say that stderr is gone.
        let _ = writeln!(self.err, "{message}");
    }

    /// Says on a terminal what is being done, until the result is dropped. Work that is
    /// done at once shows nothing, and so does work in a pipe.
    pub(crate) fn working(&self, message: &'static str) -> Working {
        if self.quiet || !io::stderr().is_terminal() {
            return Working::silent();
        }
        Working::start(message)
    }

    /// The same, with how many of how many things are done.
    pub(crate) fn counting(
        &self,
        message: &'static str,
        done: impl Fn() -> (usize, usize) + Send + 'static,
    ) -> Working {
        if self.quiet || !io::stderr().is_terminal() {
            return Working::silent();
        }
        Working::count(message, done)
    }

    /// Writes out what is buffered.
    ///
    /// # Errors
    /// If stdout cannot be written for another reason than that its reader left.
    pub(crate) fn finish(&mut self) -> io::Result<()> {
        unless_reader_left(self.out.flush())
    }
}

impl fmt::Debug for Printer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Printer").finish_non_exhaustive()
    }
}

/// That the reader left (`| head`) is no error: who writes stops, and the command ends as
/// if all had been read.
pub(crate) fn unless_reader_left(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

/// A stream on which what is no text does not get through.
struct Stream {
    inner: Box<dyn Write>,
    filter: Filter,
}

impl Stream {
    fn new(inner: Box<dyn Write>, colored: bool) -> Self {
        Self {
            inner,
            filter: Filter::new(colored),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let filtered = self.filter.filtered(bytes);
        self.inner.write_all(&filtered).map(|()| bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let rest = self.filter.rest();
        self.inner.write_all(&rest)?;
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Leaves {
        after: usize,
    }

    impl Write for Leaves {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if self.after == 0 {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            self.after -= 1;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_leaves_stops_the_writer_and_is_not_an_error() {
        let mut stream = Stream::new(Box::new(Leaves { after: 1 }), false);
        let mut lines = 0;
        let result = (0..5).try_for_each(|_| {
            lines += 1;
            stream.write_all(b"line\n")
        });
        assert_eq!(lines, 2);
        unless_reader_left(result).unwrap();
        unless_reader_left(stream.flush()).unwrap();
        assert!(unless_reader_left(Err(io::ErrorKind::StorageFull.into())).is_err());
    }
}
