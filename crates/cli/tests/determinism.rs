//! Same input, same bytes out: whatever the order of files, objects and threads.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on says so by panicking"
)]

use std::path::PathBuf;
use std::process::Command;

fn examples() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../examples/shop")
}

fn run(arguments: &[&str], threads: &str) -> (Vec<u8>, Option<i32>) {
    let output = Command::new(env!("CARGO_BIN_EXE_ringfence"))
        .current_dir(examples())
        .env("RAYON_NUM_THREADS", threads)
        .args(arguments)
        .output()
        .expect("the binary runs");
    (output.stdout, output.status.code())
}

#[test]
fn the_order_of_files_does_not_change_a_byte_of_any_format() {
    for format in [
        "human", "json", "yaml", "csv", "markdown", "dot", "mermaid", "svg",
    ] {
        let one = run(
            &["reach", "-f", "base", "-f", "steps/6-closed", "-o", format],
            "1",
        );
        let other = run(
            &["reach", "-f", "steps/6-closed", "-f", "base", "-o", format],
            "8",
        );
        assert!(!one.0.is_empty(), "{format} prints nothing");
        assert!(
            one == other,
            "{format} depends on the order of files or threads"
        );
    }
}

#[test]
fn one_hundred_runs_are_one_run() {
    let arguments = [
        "diff",
        "-f",
        "base",
        "--to",
        "base",
        "--to",
        "steps/6-closed",
        "-o",
        "json",
    ];
    let first = run(&arguments, "2");
    assert!(!first.0.is_empty());
    for _ in 0..100 {
        assert!(
            run(&arguments, "2") == first,
            "two runs of one command differ"
        );
    }
}
