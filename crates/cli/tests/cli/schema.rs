//! The JSON that the binary prints is what `docs/schema/` says.

use serde_json::Value;

use crate::{SMALL, Scratch, ringfence_with, root};

fn schema(name: &str) -> Value {
    let path = root().join(format!("docs/schema/{name}.json"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn real_output_has_the_documented_form() {
    let scratch = Scratch::new("schema");
    let assertions = scratch.file(
        "assertions.yaml",
        "apiVersion: ringfence.dev/v1alpha1\nkind: Assertions\npermits:\n- {from: web/shop, to: 'svc:web/db', why: x}\nforbids:\n- {from: web/shop, to: metadata}\n",
    );
    let before = scratch.file("before.yaml", &SMALL.replace("port: sql", "port: 80"));
    // A document with every kind of problem makes the optional fields appear.
    let broken = format!("{SMALL}---\nkind: [\n");
    for (name, arguments, stdin) in [
        ("reachability", "reach -f - -o json".to_owned(), SMALL),
        (
            "reachability",
            "reach -f - -o json".to_owned(),
            broken.as_str(),
        ),
        (
            "explanation",
            "explain web/shop svc:web/db -f - -o json".to_owned(),
            SMALL,
        ),
        (
            "explanation",
            "explain web/db metadata -f - -o json".to_owned(),
            broken.as_str(),
        ),
        ("diff", format!("diff -f {before} --to - -o json"), SMALL),
        (
            "diff",
            format!("diff -f {before} --to - -o json"),
            broken.as_str(),
        ),
        (
            "assert-report",
            format!("assert {assertions} -f - -o json"),
            SMALL,
        ),
        ("check-report", "check -f - -o json".to_owned(), SMALL),
        (
            "why-open",
            "check -f - --why-open web/shop -o json".to_owned(),
            SMALL,
        ),
        (
            "why-open",
            "check -f - --why-open web/db -o json".to_owned(),
            broken.as_str(),
        ),
        (
            "compliance-report",
            "check -f - --standard all -o json".to_owned(),
            SMALL,
        ),
        (
            "compliance-report",
            "check -f - --standard cis -o json".to_owned(),
            broken.as_str(),
        ),
        (
            "check-report",
            "check -f - -o json".to_owned(),
            broken.as_str(),
        ),
    ] {
        let run = ringfence_with(&arguments, stdin);
        let schema = schema(name);
        let mut problems = Vec::new();
        check(&run.json(), &schema, &schema, "$", &mut problems);
        assert!(problems.is_empty(), "{arguments}: {problems:#?}");
    }
}

/// Checks the keywords that our schemas use, and that no undocumented field is there.
fn check(value: &Value, schema: &Value, root: &Value, at: &str, problems: &mut Vec<String>) {
    if let Some(reference) = schema["$ref"].as_str() {
        let name = reference.rsplit('/').next().unwrap();
        return check(value, &root["$defs"][name], root, at, problems);
    }
    for keyword in ["anyOf", "oneOf"] {
        if let Some(choices) = schema[keyword].as_array() {
            let fits = choices.iter().any(|choice| {
                let mut found = Vec::new();
                check(value, choice, root, at, &mut found);
                found.is_empty()
            });
            if !fits {
                problems.push(format!("{at}: none of {keyword} fits {value}"));
            }
        }
    }
    if let Some(allowed) = schema["enum"].as_array()
        && !allowed.contains(value)
    {
        problems.push(format!("{at}: {value} is not one of {allowed:?}"));
    }
    if let Some(constant) = schema.get("const")
        && constant != value
    {
        problems.push(format!("{at}: {value} is not {constant}"));
    }
    let types: Vec<&str> = match &schema["type"] {
        Value::String(one) => vec![one],
        Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let is = |name: &&str| match *name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_u64() || value.is_i64(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        other => panic!("type {other} is not known to this test"),
    };
    if !types.is_empty() && !types.iter().any(is) {
        problems.push(format!("{at}: {value} is not {types:?}"));
    }
    if let (Some(properties), Some(object)) = (schema["properties"].as_object(), value.as_object())
    {
        for required in schema["required"].as_array().into_iter().flatten() {
            if !object.contains_key(required.as_str().unwrap()) {
                problems.push(format!("{at}: {required} is missing"));
            }
        }
        for (key, value) in object {
            match properties.get(key) {
                Some(schema) => check(value, schema, root, &format!("{at}.{key}"), problems),
                None => problems.push(format!("{at}: {key} is not documented")),
            }
        }
    }
    if let Some(items) = value.as_array() {
        for (index, item) in items.iter().enumerate() {
            let schema = schema["prefixItems"].get(index).unwrap_or(&schema["items"]);
            check(item, schema, root, &format!("{at}[{index}]"), problems);
        }
    }
}
