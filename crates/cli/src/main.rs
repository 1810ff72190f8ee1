//! The `ringfence` command.
//!
//! One file per verb in `command/`, one folder per report in `output/` with one file
//! per format. Reading is in `input` and `cluster`, the meaning of words such as
//! `shop/cart:http` in `endpoint`. Nothing here knows what a policy means: that is
//! the engine's.

mod args;
mod assertions;
mod cluster;
mod command;
mod config_file;
mod diagnostics;
mod endpoint;
mod entry_points;
mod exit;
mod git;
mod input;
mod output;
mod packets;
mod unread;
mod write_back;

use std::process::ExitCode;

/// Gives back to the kernel, after a while, what nobody uses: `lab up` follows changes for
/// hours, and what it needs at its start is twice what it needs then.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    command::run(std::env::args_os()).into()
}
