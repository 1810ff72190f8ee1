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
