//! Rulesets without their numbers: what they mean.

use std::collections::{BTreeMap, BTreeSet};

use ringfence_dataplane::ruleset::{
    Key, Name, Operand, Rule, Ruleset, Statement, Target, Value, Word, key,
};

/// A set of peers: the number of its family, and its own.
pub(crate) type SetId = (char, u32);

/// What the numbers of a ruleset mean.
#[derive(Debug, Default)]
pub(crate) struct Meaning {
    /// The pods and blocks in each set of peers, as text; addresses of pods as themselves.
    pub(crate) sets: BTreeMap<SetId, BTreeSet<String>>,
    /// By map and address, the sets that the chain asks for which it leads to.
    pub(crate) asked_by: BTreeMap<(Name, String), BTreeSet<SetId>>,
    /// The rules of the chains with numbers.
    pub(crate) chains: BTreeMap<Name, String>,
}

fn number(bytes: &[u8]) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(..4)?.try_into().ok()?))
}

fn text(bytes: &[u8]) -> String {
    format!("{bytes:?}")
}

fn address(bytes: &[u8]) -> u128 {
    let byte = |all: u128, byte: &u8| all << 8 | u128::from(*byte);
    bytes.iter().fold(0, byte)
}

fn family(name: &str) -> char {
    name.chars().last().unwrap()
}

/// The map and the number of a chain: `egress4_12`.
fn numbered(name: &str) -> Option<(&str, u32)> {
    let (map, number) = name.split_once('_')?;
    Some((map, number.parse().ok()?))
}

impl Meaning {
    pub(crate) fn of(ruleset: &Ruleset) -> Self {
        let mut meaning = Self::default();
        for family in ['4', '6'] {
            let elements = |name: &str| ruleset.sets[&*format!("{name}{family}")].elements.iter();
            for (key, _) in elements("peers") {
                let set = (family, number(&key.bytes).unwrap());
                let pods = meaning.sets.entry(set).or_default();
                pods.insert(text(&key.bytes[4..]));
            }
            let mut ranges: BTreeMap<&[u8], Vec<(u128, u128)>> = BTreeMap::new();
            for (key, value) in elements("pieces") {
                let Value::Bytes(piece) = value else {
                    panic!("a piece has a name");
                };
                let (first, last) = key.bounds();
                let range = (address(&first.bytes), address(&last.bytes));
                ranges.entry(piece).or_default().push(range);
            }
            let mut blocks: BTreeMap<SetId, Vec<(u128, u128)>> = BTreeMap::new();
            for (key, _) in elements("blocks") {
                let set = (family, number(&key.bytes).unwrap());
                let of_set = blocks.entry(set).or_default();
                of_set.extend(&ranges[&key.bytes[4..]]);
            }
            for (set, mut ranges) in blocks {
                ranges.sort_unstable();
                let mut joined: Vec<(u128, u128)> = Vec::new();
                for (first, last) in ranges {
                    match joined.last_mut() {
                        Some(before) if before.1 + 1 == first => before.1 = last,
                        _ => joined.push((first, last)),
                    }
                }
                let content = meaning.sets.entry(set).or_default();
                content.insert(format!("blocks {joined:?}"));
            }
        }
        let mut asks: BTreeMap<&str, BTreeSet<SetId>> = BTreeMap::new();
        for (name, chain) in &ruleset.chains {
            if numbered(name).is_none() {
                continue;
            }
            let lines = chain.rules.iter().map(|rule| format!("{rule}\n"));
            meaning.chains.insert(Name::clone(name), lines.collect());
            let asked = asks.entry(name).or_default();
            for statement in chain.rules.iter().flat_map(|rule| &rule.statements) {
                if let Statement::In(operands, set) = statement
                    && let Some(Operand::Constant(key)) = operands.first()
                {
                    asked.insert((family(set), number(&key.bytes).unwrap()));
                }
            }
        }
        for (map, set) in &ruleset.sets {
            let is_map = ["egress", "ingress", "first", "node"];
            if !is_map
                .iter()
                .any(|word| map.len() == word.len() + 1 && map.starts_with(word))
            {
                continue;
            }
            for (key, value) in &set.elements {
                let Value::Bytes(value) = value else {
                    panic!("the map leads to numbers");
                };
                let chain = format!("{map}_{}", number(value).unwrap());
                let asked = asks.get(&*chain).cloned().unwrap_or_default();
                let who = (Name::clone(map), text(&key.bytes));
                meaning.asked_by.insert(who, asked);
            }
        }
        meaning
    }
}

/// The ruleset with numbers that follow from what they mean alone. Numbers that mean the
/// same are one: a set that changed in place may have become equal to another.
pub(crate) fn canonical(ruleset: &Ruleset) -> Ruleset {
    let meaning = Meaning::of(ruleset);
    let contents = meaning.sets.iter().map(|(set, content)| (set.0, content));
    let contents: BTreeSet<(char, &BTreeSet<String>)> = contents.collect();
    let ranks: BTreeMap<_, u32> = contents.into_iter().zip(1..).collect();
    let rank = |(set, content): (&SetId, &BTreeSet<String>)| (*set, ranks[&(set.0, content)]);
    let sets: BTreeMap<SetId, u32> = meaning.sets.iter().map(rank).collect();
    let mut made = ruleset.clone();
    made.sets.remove("epoch");
    made.chains.remove("mark");
    for (name, set) in &mut made.sets {
        if name.starts_with("peers") || name.starts_with("blocks") {
            let old = std::mem::take(&mut set.elements);
            let renamed = old.into_iter().map(|(key, value)| {
                let rank = sets[&(family(name), number(&key.bytes).unwrap())];
                (
                    key::peer_set(rank).then(&key::bytes(&key.bytes[4..])),
                    value,
                )
            });
            set.elements = renamed.collect();
        }
    }
    for rule in made.chains.values_mut().flat_map(|chain| &mut chain.rules) {
        for statement in &mut rule.statements {
            if let Statement::In(operands, set) = statement
                && let Some(Operand::Constant(key)) = operands.first_mut()
            {
                let rank = sets[&(family(set), number(&key.bytes).unwrap())];
                *key = key::peer_set(rank);
            }
        }
    }
    rename_chains(&mut made);
    made
}

fn rename_chains(ruleset: &mut Ruleset) {
    let text = |rules: &[Rule]| -> String {
        let lines = rules.iter().map(|rule| format!("{rule}\n"));
        lines.collect()
    };
    // Chains of all flows of one side have the number of the one for connections.
    let of = |map: &str| match map.trim_end_matches(char::is_numeric) {
        "first" | "node" => format!("egress{}", family(map)),
        _ => map.to_owned(),
    };
    let connections = ruleset.chains.iter().filter_map(|(name, chain)| {
        let (map, number) = numbered(name)?;
        (of(map) == map).then(|| ((map.to_owned(), number), text(&chain.rules)))
    });
    let connections: BTreeMap<(String, u32), String> = connections.collect();
    let contents = connections.iter().map(|((map, _), text)| (map, text));
    let contents: BTreeSet<(&String, &String)> = contents.collect();
    let of_content: BTreeMap<_, u32> = contents.into_iter().zip(1..).collect();
    let ranks = connections.iter().map(|(chain, text)| {
        let rank = of_content[&(&chain.0, text)];
        (chain.clone(), rank)
    });
    let ranks: BTreeMap<(String, u32), u32> = ranks.collect();
    let rank = |map: &str, number: u32| match number {
        0 | u32::MAX => number,
        number => ranks[&(of(map), number)],
    };
    let rename = |name: &str| match numbered(name) {
        Some((map, number)) => Name::from(format!("{map}_{}", rank(map, number))),
        None => Name::from(name),
    };
    let chains = std::mem::take(&mut ruleset.chains).into_iter();
    ruleset.chains = chains.map(|(name, chain)| (rename(&name), chain)).collect();
    for (name, set) in &mut ruleset.sets {
        let map = name.replace("_chains", "");
        let is_chains = *map != **name;
        let is_map = ["egress", "ingress", "first", "node", "itself"];
        if !is_map
            .iter()
            .any(|word| map.len() == word.len() + 1 && map.starts_with(word))
        {
            continue;
        }
        let old = std::mem::take(&mut set.elements);
        let renamed = old.into_iter().map(|(key, value)| {
            let key: Key = match is_chains {
                true => key::peer_set(rank(&map, number(&key.bytes).unwrap())),
                false => key,
            };
            let value = match value {
                Value::Bytes(value) => {
                    Value::Bytes(Word::number(rank(&map, number(&value).unwrap())))
                }
                Value::Verdict(target) => Value::Verdict(Box::new(match *target {
                    Target::Jump(to) => Target::Jump(rename(&to)),
                    Target::Goto(to) => Target::Goto(rename(&to)),
                    target => target,
                })),
                Value::None => Value::None,
            };
            (key, value)
        });
        set.elements = renamed.collect();
    }
}

/// The lines of two rulesets that only one of them has.
pub(crate) fn difference(a: &Ruleset, b: &Ruleset) -> Vec<String> {
    let lines = |ruleset: &Ruleset| -> Vec<String> {
        let mut place = String::new();
        let mut found = Vec::new();
        for line in ruleset.to_string().lines() {
            match line.strip_prefix(' ') {
                Some(line) => found.push(format!("{place} {line}")),
                None => place = line.to_owned(),
            }
        }
        found
    };
    let (mut a, mut b) = (lines(a), lines(b));
    let (of_a, of_b): (BTreeSet<_>, BTreeSet<_>) =
        (a.iter().cloned().collect(), b.iter().cloned().collect());
    a.retain(|line| !of_b.contains(line));
    b.retain(|line| !of_a.contains(line));
    let mine = a.into_iter().map(|line| format!("follows: {line}"));
    let fresh = b.into_iter().map(|line| format!("compiled: {line}"));
    mine.chain(fresh).take(60).collect()
}
