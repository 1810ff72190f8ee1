use crate::{SMALL, ringfence, ringfence_with};

const CLOSED: &str = "-f examples/shop/base -f examples/shop/steps/6-closed";

#[test]
fn an_open_shop_is_one_block() {
    insta::assert_snapshot!(ringfence("reach -f examples/shop/base").text());
}

#[test]
fn a_closed_shop_is_exactly_its_arrows() {
    insta::assert_snapshot!(ringfence(&format!("reach {CLOSED}")).text());
}

#[test]
fn sources_and_destinations_can_be_chosen() {
    insta::assert_snapshot!(
        ringfence(&format!(
            "reach {CLOSED} --from shop-web/* --to shop-data/*"
        ))
        .text()
    );
    insta::assert_snapshot!(
        "to_metadata",
        ringfence("reach -f examples/shop/base -f examples/shop/steps/3-deny-metadata-additive --to metadata").text()
    );
    insta::assert_snapshot!(
        "external_only",
        ringfence(&format!("reach {CLOSED} --external-only")).text()
    );
}

#[test]
fn ports_can_be_chosen_by_number_and_by_name() {
    let by_number = ringfence_with("reach -f - --from web/shop --to web/db --port 5432", SMALL);
    let by_name = ringfence_with("reach -f - --from web/shop --to web/db --port sql", SMALL);
    assert!(
        by_number.stdout.contains("TCP 5432"),
        "{}",
        by_number.text()
    );
    assert_eq!(by_number.stdout, by_name.stdout);
    let other = ringfence_with("reach -f - --from web/shop --to web/db:5433", SMALL);
    assert!(other.stdout.contains("reaches nothing"), "{}", other.text());
}

#[test]
fn markdown_and_pictures_are_made_of_the_shop() {
    insta::assert_snapshot!(
        "markdown",
        ringfence(&format!("reach {CLOSED} -o markdown")).text()
    );
    insta::assert_snapshot!(
        "mermaid",
        ringfence(&format!("reach {CLOSED} -o mermaid")).text()
    );
    insta::assert_snapshot!("svg", ringfence(&format!("reach {CLOSED} -o svg")).text());
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    for format in [
        "human", "json", "yaml", "csv", "markdown", "dot", "mermaid", "svg",
    ] {
        let first = ringfence(&format!("reach {CLOSED} -o {format}"));
        let second = ringfence(&format!(
            "reach -f examples/shop/steps/6-closed -f examples/shop/base -o {format}"
        ));
        assert_eq!(first.code, Some(0), "{}", first.text());
        assert_eq!(first.stdout, second.stdout, "{format}");
    }
}

#[test]
fn yaml_says_what_json_says() {
    let json = ringfence(&format!("reach {CLOSED} -o json")).json();
    let yaml = ringfence(&format!("reach {CLOSED} -o yaml"));
    let yaml: serde_json::Value = serde_saphyr::from_str(&yaml.stdout).unwrap();
    assert_eq!(json, yaml);
}

#[test]
fn a_port_name_that_nothing_declares_is_an_error() {
    for (arguments, message) in [
        ("--port nope", "no container declares a port named `nope`"),
        (
            "--to web/shop --port sql",
            "no container declares a port named `sql`",
        ),
        (
            "--to web/shop:sql",
            "no container declares a port named `sql`",
        ),
        (
            "--to internet --port sql",
            "names mean something only on pods",
        ),
        ("--port icmp/tcp", "write `icmp`"),
    ] {
        let run = ringfence_with(&format!("reach -f - {arguments}"), SMALL);
        assert_eq!(run.code, Some(2), "{arguments}: {}", run.text());
        assert!(run.stderr.contains(message), "{arguments}: {}", run.text());
    }
    let run = ringfence_with("reach -f - --port sql", SMALL);
    assert_eq!(run.code, Some(0), "{}", run.text());
}

/// The addresses of the connections of a `reach -o json`.
fn outside(run: &crate::Run) -> Vec<String> {
    let json = run.json();
    let connections = json["connections"].as_array().unwrap();
    let nets = connections
        .iter()
        .flat_map(|c| c["to"]["cidrs"].as_array().into_iter().flatten());
    nets.map(|net| net.as_str().unwrap().to_owned()).collect()
}

#[test]
fn reach_explain_and_check_speak_of_the_families_that_pods_are_taken_to_have() {
    let explained = |arguments: &str| {
        let run = ringfence_with(
            &format!("explain web/shop metadata:80 -f - -o json {arguments}"),
            SMALL,
        );
        let json = run.json();
        let nets = json["outcomes"].as_array().unwrap().iter();
        let nets = nets.flat_map(|o| o["to"]["cidrs"].as_array().unwrap());
        let mut nets: Vec<String> = nets.map(|net| net.as_str().unwrap().to_owned()).collect();
        nets.sort();
        nets
    };
    let reached = |arguments: &str| {
        let reach = format!("reach -f - --from web/shop -o json {arguments}");
        let mut nets = outside(&ringfence_with(&reach, SMALL));
        nets.sort();
        nets
    };
    for (option, v4, v6) in [
        ("", true, false),
        ("--ip-family ipv6", false, true),
        ("--ip-family dual", true, true),
    ] {
        let nets = reached(&format!("--to metadata {option}"));
        assert_eq!(nets.iter().any(|net| !net.contains(':')), v4, "{nets:?}");
        assert_eq!(nets.iter().any(|net| net.contains(':')), v6, "{nets:?}");
        assert_eq!(nets, explained(option));
        let check = ringfence_with(
            &format!("check -f - --select RF401 -o json {option}"),
            SMALL,
        );
        let said = format!("and {} more metadata addresses", nets.len() - 1);
        assert!(check.stdout.contains(&said), "{said}: {}", check.text());
    }
    let everything = reached("--external-only");
    assert_eq!(everything, ["0.0.0.0/0"]);
    // Who writes an address out wants to know, as with `explain`.
    assert_eq!(reached("--to fd00:ec2::254"), ["fd00:ec2::254/128"]);
}
