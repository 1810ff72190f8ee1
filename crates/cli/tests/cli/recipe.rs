//! The recipe for default-deny egress, step by step and as its reader types it, with the
//! commands of an alpine image: busybox `wget`, `nslookup`, `ping` and `nc`.
//!
//! Each acceptance criterion of the recipe is a sentence here, and so is each step of what
//! it builds on top. What is to work is tried again on a busy machine; what is to be denied
//! may not work in any attempt.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::lab::Up;
use crate::{Run, Scratch, command, ringfence, root};

const FOLDER: &str = "examples/default-deny-egress";

/// The acceptance criteria of the recipe, in its order and its words.
const CRITERIA: [&str; 9] = [
    "NetworkPolicy `default-deny-all-egress` created successfully",
    "Policy deployed to default namespace",
    "Policy uses empty podSelector (matches all pods)",
    "Policy specifies Egress policyType",
    "Empty egress array blocks all traffic",
    "DNS resolution blocked",
    "Internal service connections blocked",
    "External connections blocked",
    "Policy provides foundation for whitelisting",
];

/// The pods of namespace `default`.
const PODS: [&str; 4] = ["test", "frontend", "backend", "myapp"];

const KUBERNETES: &str = "wget -qO- --timeout=2 http://kubernetes.default";
const API_SERVER: &str = "wget -qO- --timeout=2 http://kubernetes.default:443";
const INTERNET: &str = "wget -qO- --timeout=2 http://www.example.com";
const BACKEND: &str = "wget -qO- --timeout=2 http://backend:8080";
const LOOK_UP: &str = "nslookup google.com";
// This busybox does not walk the search list of /etc/resolv.conf.
const LOOK_UP_API_SERVER: &str = "nslookup kubernetes.default.svc.cluster.local";
const PING: &str = "ping -c 1 -W 2 8.8.8.8";
const METADATA: &str = "wget -qO- --timeout=2 http://169.254.169.254/latest/meta-data/";

/// The commands of busybox under their own names, as an image has them.
fn applets(scratch: &Scratch) -> PathBuf {
    let search = std::env::var_os("PATH").unwrap_or_default();
    let busybox = std::env::split_paths(&search)
        .map(|folder| folder.join("busybox"))
        .find(|path| path.is_file())
        .unwrap_or_else(|| {
            panic!("busybox is missing: scripts/ensure-tools.sh busybox, or `make test`")
        });
    for name in ["nslookup", "ping", "nc", "sh"] {
        std::os::unix::fs::symlink(&busybox, scratch.0.join(name)).unwrap();
    }
    let help = Command::new(&busybox).args(["wget", "--help"]).output();
    let help = String::from_utf8(help.unwrap().stderr).unwrap();
    if help.contains("-T SEC") {
        std::os::unix::fs::symlink(&busybox, scratch.0.join("wget")).unwrap();
    } else {
        // Debian builds it without time-outs: there the kernel of the pod gives a connection
        // up after three seconds, and the option is left out.
        let script = format!(
            "#!/bin/sh\n\
             echo 1 > /proc/sys/net/ipv4/tcp_syn_retries\n\
             for word; do\n\
             shift\n\
             case $word in --timeout=*) ;; *) set -- \"$@\" \"$word\" ;; esac\n\
             done\n\
             exec {} wget \"$@\"\n",
            busybox.display()
        );
        let path = scratch.file("wget", &script);
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(path, mode).unwrap();
    }
    scratch.0.clone()
}

/// The recipe, while it is followed.
struct Recipe {
    up: Up,
    applets: PathBuf,
    /// What was found to hold, and what was not.
    held: Vec<String>,
    failed: Vec<String>,
    _scratch: Scratch,
}

impl Recipe {
    fn begin(name: &str) -> Self {
        let scratch = Scratch::new(name);
        let applets = applets(&scratch);
        Self {
            up: Up::with(name, &format!("-f {FOLDER}/cluster.yaml"), ""),
            applets,
            held: Vec::new(),
            failed: Vec::new(),
            _scratch: scratch,
        }
    }

    /// Runs a command in a pod, as it is typed.
    fn run(&self, pod: &str, line: &str) -> Run {
        let search = std::env::var_os("PATH").unwrap_or_default();
        let own = std::iter::once(self.applets.clone());
        let search = std::env::join_paths(own.chain(std::env::split_paths(&search)));
        let output = command()
            .args(["lab", "exec", "--name", &self.up.0, pod, "--"])
            .args(line.split_whitespace())
            .env("PATH", search.unwrap())
            // As patient as an alpine image's, or less: what is denied is waited for.
            .env("RES_OPTIONS", "timeout:1 attempts:1")
            .stdin(std::process::Stdio::null())
            .output()
            .unwrap();
        Run {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Something that is to hold, by its name.
    fn criterion(&mut self, name: &str, holds: Result<(), String>) {
        match holds {
            Ok(()) => self.held.push(name.to_owned()),
            Err(why) => self.failed.push(format!("{name}: {why}")),
        }
    }

    /// The command ends well in the end, and says this.
    fn works(&self, pod: &str, line: &str, said: &str) -> Result<(), String> {
        let mut last = String::new();
        for _ in 0..10 {
            let run = self.run(pod, line);
            last = run.text();
            if run.code == Some(0) && run.stdout.contains(said) {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(500));
        }
        Err(format!("in {pod}, `{line}` never worked: {last}"))
    }

    /// The command fails, whenever it is tried, and in the end for the reason that it is to:
    /// on a busy machine a name may come too late although it is answered.
    fn fails(&self, pod: &str, line: &str, said: &str) -> Result<(), String> {
        let mut last = String::new();
        for _ in 0..5 {
            let run = self.run(pod, line);
            let text = [&*run.stdout, &*run.stderr].concat();
            last = run.text();
            if run.code.is_none_or(|code| code == 0) {
                break;
            }
            if text.contains(said) {
                return Ok(());
            }
        }
        Err(format!("in {pod}, `{line}`: {last}"))
    }

    /// All of these fail, tried at the same time: pod, command, what is said.
    fn all_fail(&self, tries: &[(&str, &str, &str)]) -> Result<(), String> {
        std::thread::scope(|scope| {
            let running: Vec<_> = tries
                .iter()
                .map(|(pod, line, said)| scope.spawn(move || self.fails(pod, line, said)))
                .collect();
            let mut running = running.into_iter();
            running.try_for_each(|one| one.join().unwrap())
        })
    }

    fn apply(&self, policy: &str) -> Result<(), String> {
        let name = &self.up.0;
        let run = ringfence(&format!(
            "lab apply --name {name} -f {FOLDER}/policies/{policy}.yaml"
        ));
        let told = run.stdout == format!("networkpolicy \"{policy}\" created\n");
        (run.code == Some(0) && told)
            .then_some(())
            .ok_or(run.text())
    }

    fn delete(&self, policy: &str) -> Result<(), String> {
        let name = &self.up.0;
        let run = ringfence(&format!("lab delete --name {name} networkpolicy {policy}"));
        let told = run.stdout == format!("networkpolicy \"{policy}\" deleted\n");
        (run.code == Some(0) && told)
            .then_some(())
            .ok_or(run.text())
    }

    fn everything_is_open(&mut self, when: &str) {
        let at_once = |recipe: &Self| {
            // The API server's Service has port 443 only: on port 80 the name is resolved,
            // and the connection refused, as in any cluster.
            recipe.fails("test", KUBERNETES, "Connection refused")?;
            recipe.works("test", API_SERVER, "Answered by")?;
            recipe.works("test", INTERNET, "Answered by")?;
            recipe.works("test", LOOK_UP, "203.0.113.30")?;
            recipe.works("test", PING, " 0% packet loss")?;
            recipe.works("test", LOOK_UP_API_SERVER, "10.96.0.1")?;
            recipe.works("test", METADATA, "Answered by")?;
            recipe.works("frontend", BACKEND, "Answered by default/backend")?;
            recipe.works("myapp", BACKEND, "Answered by default/backend")
        };
        let holds = at_once(self);
        self.criterion(&format!("{when}, everything is open"), holds);
    }

    fn end(self) {
        assert!(self.failed.is_empty(), "{}", self.failed.join("\n"));
    }
}

/// The row of namespace `default` in the posture table of `check`.
fn posture() -> serde_json::Value {
    let run = ringfence(&format!(
        "check -o json -f {FOLDER}/cluster.yaml -f {FOLDER}/policies/default-deny-all-egress.yaml"
    ));
    let report = run.json();
    let rows = report["posture"].as_array().unwrap();
    let row = rows.iter().find(|row| row["namespace"] == "default");
    row.unwrap().clone()
}

fn is(expected: impl Into<serde_json::Value>, found: &serde_json::Value) -> Result<(), String> {
    let expected = expected.into();
    (*found == expected)
        .then_some(())
        .ok_or_else(|| format!("{found} is not {expected}"))
}

/// All of them hold.
fn all<const N: usize>(results: [Result<(), String>; N]) -> Result<(), String> {
    results.into_iter().collect()
}

/// What busybox says of a name server, a host and a connection that nobody answers for.
const NO_SERVERS: &str = "no servers could be reached";
const NO_ECHO: &str = "100% packet loss";
const NO_ANSWER: &str = "timed out";

#[test]
fn the_recipe_does_what_it_says() {
    let mut recipe = Recipe::begin("recipe");
    recipe.everything_is_open("before any policy");
    default_deny(&mut recipe);
    allow_dns(&mut recipe);
    allow_backend(&mut recipe);
    allow_external_api(&mut recipe);
    let foundation = match recipe.failed.is_empty() {
        true => Ok(()),
        false => Err("what was built on it does not do what it says".to_owned()),
    };
    recipe.criterion(CRITERIA[8], foundation);
    clean_up(&mut recipe);
    for criterion in CRITERIA {
        let mut told = recipe.held.iter().chain(&recipe.failed);
        assert!(told.any(|told| told.starts_with(criterion)), "{criterion}");
    }
    recipe.end();
}

/// `kubectl apply -f default-deny-all-egress.yaml`
fn default_deny(recipe: &mut Recipe) {
    let created = recipe.apply("default-deny-all-egress");
    recipe.criterion(CRITERIA[0], created);
    let row = posture();
    let elsewhere = all([
        recipe.works("other/web", INTERNET, "Answered by"),
        recipe.works("other/web", PING, " 0% packet loss"),
    ]);
    recipe.criterion(CRITERIA[1], elsewhere);
    // Each pod of the namespace, by packets and by what `check` says.
    let closed = recipe.all_fail(&PODS.map(|pod| (pod, PING, NO_ECHO)));
    let counted = is(PODS.len(), &row["egressIsolated"]);
    recipe.criterion(CRITERIA[2], all([closed, counted]));
    let from_outside = "wget -qO- --timeout=2 http://backend.default:8080";
    let ingress = all([
        is(0, &row["ingressIsolated"]),
        recipe.works("other/web", from_outside, "Answered by default/backend"),
    ]);
    recipe.criterion(CRITERIA[3], ingress);
    let nothing = all([
        is("closed", &row["dns"]),
        is("closed", &row["metadata"]),
        is("closed", &row["internet"]),
        recipe.all_fail(&[
            ("test", "nc -w 2 8.8.8.8 443", NO_ANSWER),
            ("test", METADATA, NO_ANSWER),
        ]),
    ]);
    recipe.criterion(CRITERIA[4], nothing);
    let names = recipe.all_fail(&[
        ("test", LOOK_UP, NO_SERVERS),
        ("test", "nslookup kubernetes.default", NO_SERVERS),
    ]);
    recipe.criterion(CRITERIA[5], names);
    let internal = recipe.all_fail(&[
        ("test", KUBERNETES, "wget: bad address 'kubernetes.default'"),
        ("frontend", BACKEND, "wget: bad address 'backend:8080'"),
        // Nor by its address.
        ("test", "nc -w 2 10.96.0.1 443", NO_ANSWER),
    ]);
    recipe.criterion(CRITERIA[6], internal);
    let by_address = "wget -qO- --timeout=2 http://203.0.113.10";
    let external = recipe.all_fail(&[
        ("test", INTERNET, "wget: bad address 'www.example.com'"),
        ("test", by_address, NO_ANSWER),
        ("test", PING, NO_ECHO),
    ]);
    recipe.criterion(CRITERIA[7], external);
}

fn allow_dns(recipe: &mut Recipe) {
    let names = all([
        recipe.apply("allow-dns"),
        recipe.works("test", LOOK_UP, "203.0.113.30"),
        recipe.works("test", LOOK_UP_API_SERVER, "10.96.0.1"),
    ]);
    recipe.criterion("allow-dns: names resolve", names);
    let still = recipe.all_fail(&[
        ("test", INTERNET, NO_ANSWER),
        ("test", API_SERVER, NO_ANSWER),
        ("frontend", BACKEND, NO_ANSWER),
        ("test", PING, NO_ECHO),
        // Not at a name server of the internet.
        ("test", "nslookup google.com 8.8.8.8", NO_SERVERS),
    ]);
    recipe.criterion("allow-dns: connections still fail", still);
}

fn allow_backend(recipe: &mut Recipe) {
    let backend = all([
        recipe.apply("frontend-allow-backend"),
        recipe.works("frontend", BACKEND, "Answered by default/backend"),
    ]);
    recipe.criterion("frontend-allow-backend: it reaches the backend", backend);
    let another_port = "wget -qO- --timeout=2 http://backend:9090";
    let others = recipe.all_fail(&[
        ("test", BACKEND, NO_ANSWER),
        ("myapp", BACKEND, NO_ANSWER),
        ("frontend", another_port, NO_ANSWER),
        ("frontend", INTERNET, NO_ANSWER),
    ]);
    recipe.criterion("frontend-allow-backend: no other pod and port", others);
}

fn allow_external_api(recipe: &mut Recipe) {
    let on_443 = "wget -qO- --timeout=2 http://www.example.com:443";
    let api = all([
        recipe.apply("app-allow-external-api"),
        recipe.works("myapp", on_443, "Answered by world"),
        recipe.works("myapp", "nc -w 2 8.8.8.8 443", ""),
    ]);
    recipe.criterion("app-allow-external-api: the internet on 443", api);
    let metadata = recipe.all_fail(&[
        ("myapp", METADATA, NO_ANSWER),
        ("myapp", "nc -w 2 169.254.169.254 443", NO_ANSWER),
    ]);
    recipe.criterion("app-allow-external-api: metadata is closed", metadata);
    let other = recipe.all_fail(&[
        ("myapp", INTERNET, NO_ANSWER),
        ("myapp", "nc -w 2 8.8.8.8 8080", NO_ANSWER),
        ("frontend", "nc -w 2 8.8.8.8 443", NO_ANSWER),
    ]);
    recipe.criterion("app-allow-external-api: no other port and pod", other);
}

/// `kubectl delete networkpolicy default-deny-all-egress`, and what the recipe warns of:
/// what allows something isolates by itself.
fn clean_up(recipe: &mut Recipe) {
    let deny = recipe.delete("default-deny-all-egress");
    let isolated = recipe.all_fail(&[("test", PING, NO_ECHO), ("test", INTERNET, NO_ANSWER)]);
    let holds = all([deny, isolated]);
    recipe.criterion("without the deny, the allows still isolate", holds);
    let gone = all([
        recipe.delete("frontend-allow-backend"),
        recipe.delete("app-allow-external-api"),
        recipe.delete("allow-dns"),
    ]);
    recipe.criterion("every policy is deleted", gone);
    recipe.everything_is_open("after cleaning up");
}

/// The YAML of the folder is what the fixtures of the recipe ask about.
#[test]
fn the_policies_of_the_example_are_those_of_the_fixtures() {
    let read = |path: &Path| std::fs::read_to_string(path).unwrap();
    for (policy, fixture) in [
        (
            "default-deny-all-egress",
            "mission-recipe-default-deny-all-egress",
        ),
        ("allow-dns", "mission-recipe-allow-dns"),
    ] {
        let shown = read(&root().join(format!("{FOLDER}/policies/{policy}.yaml")));
        let asked = read(&root().join(format!("fixtures/{fixture}/cluster.yaml")));
        assert!(asked.contains(&shown), "{policy}");
    }
}
