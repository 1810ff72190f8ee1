//! What the documentation shows is what the binary prints.
//!
//! In every `console` block, a line `$ ringfence ...` is run, in `examples/shop` and in
//! `docs/lab.md` in `examples/default-deny-egress`, and what follows it must be its output;
//! a line `...` stands for lines left out. Commands with pipes and redirections, and those
//! that show no output, are not run. Set `RINGFENCE_UPDATE_DOCS` to write the output into
//! the pages instead.

use crate::{command, ringfence, root};

const PAGES: [&str; 4] = [
    "README.md",
    "docs/cli.md",
    "docs/assert.md",
    "docs/baseline.md",
];

#[test]
fn shown_output_is_real_output() {
    for page in PAGES {
        check_page(page, |arguments, _| printed(arguments));
    }
}

/// The walk through the recipe, in a lab of its own name: each command meets what those
/// before it left. On a busy machine it may take several attempts until it says what is
/// written; but what is denied may not work in any of them.
#[test]
fn the_walk_through_the_recipe_is_real_output() {
    const DENIALS: [&str; 4] = [
        "bad address",
        "timed out",
        "could be reached",
        "100% packet loss",
    ];
    struct Ended(String);
    impl Drop for Ended {
        fn drop(&mut self) {
            ringfence(&format!("lab down --name {}", self.0));
        }
    }
    let lab = Ended(format!("docs-{}", std::process::id()));
    check_page("docs/lab.md", |arguments, expected| {
        let mut words: Vec<&str> = arguments.split_whitespace().collect();
        if words.first() == Some(&"lab") {
            words.splice(2..2, ["--name", &lab.0]);
        }
        let mut text = String::new();
        let attempts = if is_update() { 1 } else { 10 };
        for _ in 0..attempts {
            let output = command()
                .current_dir(root().join("examples/default-deny-egress"))
                .args(&words)
                .env("RES_OPTIONS", "timeout:1 attempts:1")
                .stdin(std::process::Stdio::null())
                .output()
                .unwrap();
            text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
            text = text.replace(&format!(" --name {}", lab.0), "");
            text = text.replace(&lab.0, "lab");
            text = text
                .lines()
                .flat_map(|line| [line.trim_end(), "\n"])
                .collect();
            let lines: Vec<&str> = text.trim_end().lines().collect();
            let is_denial = DENIALS.iter().any(|said| {
                let mut lines = expected.iter();
                lines.any(|line| line.contains(said))
            });
            let leaks = is_denial && output.status.success();
            if leaks || matches(expected, &lines) {
                break;
            }
            std::thread::sleep(std::time::Duration::from_secs(1));
        }
        text
    });
}

/// Runs every command of a page, by a function that is also told what is expected.
fn check_page(page: &str, mut run: impl FnMut(&str, &[&str]) -> String) {
    let update = is_update();
    let path = root().join(page);
    let text = std::fs::read_to_string(&path).unwrap();
    let mut rewritten = String::new();
    let mut lines = text.lines().peekable();
    let mut in_console = false;
    let mut found = 0;
    while let Some(line) = lines.next() {
        rewritten.push_str(line);
        rewritten.push('\n');
        if line.starts_with("```") {
            in_console = line == "```console";
            continue;
        }
        let Some(arguments) = line.strip_prefix("$ ringfence").filter(|_| in_console) else {
            continue;
        };
        let mut expected = Vec::new();
        while let Some(next) = lines.next_if(|l| !l.starts_with("$ ") && !l.starts_with("```")) {
            expected.push(next);
        }
        if arguments.contains(['|', '>']) || expected.is_empty() {
            rewritten.extend(expected.iter().flat_map(|line| [line, "\n"]));
            continue;
        }
        found += 1;
        let printed = run(arguments, &expected);
        let printed: Vec<&str> = printed.trim_end().lines().collect();
        if update && !expected.contains(&"...") {
            rewritten.extend(printed.iter().flat_map(|line| [line, "\n"]));
        } else {
            rewritten.extend(expected.iter().flat_map(|line| [line, "\n"]));
            assert!(
                matches(&expected, &printed),
                "{page}: ringfence{arguments} prints\n{}",
                printed.join("\n")
            );
        }
    }
    assert!(found > 0, "{page} shows no output");
    if update && rewritten != text {
        std::fs::write(&path, rewritten).unwrap();
    }
}

fn is_update() -> bool {
    std::env::var_os("RINGFENCE_UPDATE_DOCS").is_some()
}

fn printed(arguments: &str) -> String {
    let words = arguments
        .split_whitespace()
        .map(|word| word.trim_matches(['"', '\'']));
    let output = command()
        .current_dir(root().join("examples/shop"))
        .args(words)
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    // Help ends its lines with spaces, which nobody sees.
    let text = String::from_utf8(text).unwrap();
    text.lines()
        .flat_map(|line| [line.trim_end(), "\n"])
        .collect()
}

/// Whether `printed` is `expected`, whose `...` stand for any lines.
fn matches(expected: &[&str], printed: &[&str]) -> bool {
    let Some(position) = expected.iter().position(|line| *line == "...") else {
        return expected
            .iter()
            .map(|line| line.trim_end())
            .eq(printed.iter().copied());
    };
    let (before, after) = expected.split_at(position);
    let after = &after[1..];
    printed.starts_with(before)
        && (position..=printed.len()).any(|start| matches(after, &printed[start..]))
}

#[test]
fn the_picture_in_the_readme_is_what_is_drawn() {
    let drawn = printed(" reach -f base -f steps/6-closed -o svg");
    let path = root().join("docs/images/shop-closed.svg");
    if is_update() {
        std::fs::write(&path, &drawn).unwrap();
    }
    let shown = std::fs::read_to_string(&path).unwrap();
    assert!(
        shown.lines().map(str::trim_end).eq(drawn.lines()),
        "docs/images/shop-closed.svg is not what `reach -o svg` draws; if the change is meant, \
         run the tests with RINGFENCE_UPDATE_DOCS=1"
    );
}
