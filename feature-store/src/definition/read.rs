//! The features file, read and checked.

use std::collections::BTreeSet;
use std::hash::Hasher;

use schemas::document::{FromToml, Section, quoted};
use schemas::mapping::FieldKind;
use schemas::problem::Problems;
use schemas::time::DurationMs;
use siphasher::sip::SipHasher13;
use toml::Value;

use super::{
    Aggregate, Condition, Constant, Definitions, EntityPlan, Feature, Kind, MAX_FEATURES, Number, Request,
    Vocabulary, Windowed,
};

const WINDOW_MAX: DurationMs = DurationMs::MAX;

impl Definitions {
    /// Reads the text of a features file.
    ///
    /// # Errors
    /// Every problem of the file.
    pub fn parse(file: &str, text: &str, vocabulary: &Vocabulary) -> Result<Definitions, Problems> {
        let (mut root, sink) = Section::open(file, text);
        let sections = root.sections("feature");
        if sections.is_empty() || sections.len() > MAX_FEATURES {
            root.report(
                "feature",
                format!("{} features", sections.len()),
                format!("1 to {MAX_FEATURES} [[feature]]"),
            );
        }
        let mut features = Vec::new();
        let mut norms = Vec::new();
        let mut names = BTreeSet::new();
        for mut section in sections {
            let Some(name) = section.required::<String>("name") else { continue };
            if !names.insert(name.clone()) {
                section.report("name", format!("\"{name}\" a second time"), "a name of its own");
            }
            norms.push(section.optional::<String>("norm"));
            let kind = if section.has("request") {
                request(&mut section)
            } else {
                windowed(&mut section, vocabulary)
            };
            match kind {
                Some(kind) => features.push(Feature { name, kind, norm: None }),
                None => _ = norms.pop(),
            }
        }
        link_norms(&mut features, &norms, &root);
        let mut plans = Vec::new();
        for (entity, name) in vocabulary.entities.iter().enumerate() {
            match EntityPlan::of(entity, &features) {
                Ok(plan) => plans.push(plan),
                Err(found) => root.report("feature", format!("{found} on entity {name}"), "fewer"),
            }
        }
        drop(root);
        let version = version(&features, vocabulary);
        sink.problems().or(Some(Definitions { features, plans, version }))
    }
}

fn request(section: &mut Section) -> Option<Kind> {
    let words = [("amount", 0), ("hour", 1), ("weekday", 2), ("weekend", 3), ("night", 4)];
    Some(Kind::Request(match section.word("request", &words)? {
        0 => Request::Amount { major_scale: major_scale(section, Some(2)) },
        1 => Request::Hour,
        2 => Request::Weekday,
        3 => Request::Weekend,
        _ => Request::Night { until_hour: section.integer_within("until_hour", 6, 0..=23) },
    }))
}

fn windowed(section: &mut Section, vocabulary: &Vocabulary) -> Option<Kind> {
    let entity = entity(section, vocabulary);
    let aggregate = aggregate(section, vocabulary);
    let window: Option<DurationMs> = section.required("window");
    if window.is_some_and(|window| window.0 == 0 || window >= WINDOW_MAX) {
        section.report("window", "0 or ten years", "a window of at least 1ms and below ten years");
    }
    let delay = section.or("delay", DurationMs(0));
    let about_labels = matches!(aggregate, Some((Aggregate::FraudCount | Aggregate::FraudRatio, _)));
    if about_labels && delay.0 == 0 {
        let expected = "a delay such as \"7d\": labels come days after their payments, and without a delay the \
                        newest payments would count as honest";
        section.report("delay", "a feature over labels without delay", expected);
    }
    let filter = filter(section, vocabulary);
    let include_current = section.or("include_current", true);
    let empty = section.optional::<i64>("empty");
    let (aggregate, scale) = aggregate?;
    let major_scale = major_scale(section, scale);
    Some(Kind::Windowed(Windowed {
        entity: entity?,
        aggregate,
        window: window?,
        delay,
        filter,
        include_current,
        empty,
        major_scale,
    }))
}

fn entity(section: &mut Section, vocabulary: &Vocabulary) -> Option<usize> {
    let name: String = section.required("entity")?;
    let place = vocabulary.entities.iter().position(|entity| *entity == name);
    if place.is_none() {
        let expected = format!("an entity of [payment.entities]: {}", vocabulary.entities.join(", "));
        section.report("entity", format!("\"{name}\""), expected);
    }
    place
}

/// The aggregate, and the decimal places that its number has if the user wants major units.
fn aggregate(section: &mut Section, vocabulary: &Vocabulary) -> Option<(Aggregate, Option<u32>)> {
    let words = [
        ("count", 0),
        ("sum", 1),
        ("mean", 2),
        ("min", 3),
        ("max", 4),
        ("distinct", 5),
        ("time_since_last", 6),
        ("ratio", 7),
    ];
    if !section.has("aggregate") {
        section.report("aggregate", "nothing", format!("one of {}", words.map(|word| word.0).join(", ")));
    }
    let word = section.word("aggregate", &words);
    let of: Option<String> = section.optional("of");
    let label = of.as_deref() == Some("label");
    let number = |section: &Section| number(section, of.as_deref(), vocabulary);
    Some(match word? {
        0 if label => (Aggregate::FraudCount, None),
        0 => {
            if let Some(of) = of {
                section.report("of", format!("\"{of}\""), "nothing, or \"label\" to count frauds");
            }
            (Aggregate::Count, None)
        }
        1 => number(section).map(|(number, scale)| (Aggregate::Sum(number), Some(scale)))?,
        2 => number(section).map(|(number, scale)| (Aggregate::Mean(number), Some(scale)))?,
        3 => number(section).map(|(number, scale)| (Aggregate::Min(number), Some(scale)))?,
        4 => number(section).map(|(number, scale)| (Aggregate::Max(number), Some(scale)))?,
        5 => (Aggregate::Distinct(field(section, "of", of.as_deref(), vocabulary)?), None),
        6 => (Aggregate::TimeSinceLast, None),
        _ => {
            if !label {
                section.report("of", format!("{of:?}"), "of = \"label\"");
            }
            (Aggregate::FraudRatio, None)
        }
    })
}

fn number(section: &Section, of: Option<&str>, vocabulary: &Vocabulary) -> Option<(Number, u32)> {
    match of {
        Some("amount") => Some((Number::Amount, 2)),
        _ => {
            let place = field(section, "of", of, vocabulary)?;
            let kind = vocabulary.fields[place].1;
            if !kind.is_number() {
                section.report(
                    "of",
                    "a field that is not a number",
                    "\"amount\" or a field of kind integer or decimal",
                );
            }
            let scale = if let FieldKind::Decimal { scale } = kind { scale } else { 0 };
            Some((Number::Field(place), scale))
        }
    }
}

fn field(section: &Section, key: &str, name: Option<&str>, vocabulary: &Vocabulary) -> Option<usize> {
    let place = vocabulary.fields.iter().position(|(field, _)| Some(field.as_str()) == name);
    if place.is_none() {
        let names: Vec<_> = vocabulary.fields.iter().map(|(name, _)| name.as_str()).collect();
        let expected = format!("a field of [payment.fields]: {}", names.join(", "));
        section.report(key, name.map_or("nothing".to_owned(), |name| format!("\"{name}\"")), expected);
    }
    place
}

/// `unit = "major"` with its scale; the number's own decimal places are the default.
fn major_scale(section: &mut Section, own: Option<u32>) -> Option<u32> {
    let own = own?;
    let major = section.word("unit", &[("minor", false), ("major", true)]).unwrap_or(false);
    let default = i64::from(own);
    if !major {
        return None;
    }
    Some(section.integer_within("scale", default, 0..=9) as u32)
}

fn filter(section: &mut Section, vocabulary: &Vocabulary) -> Vec<Condition> {
    let mut table = section.section("where");
    let mut conditions = Vec::new();
    for name in table.remaining_keys() {
        let Some(value) = table.raw(&name) else { continue };
        let Some(place) = field(&table, &name, Some(&name), vocabulary) else { continue };
        let constants = match &value {
            Value::Array(values) => values.iter().map(Constant::from_toml).collect(),
            value => Constant::from_toml(value).map(|constant| vec![constant]),
        };
        let fits = |constant: &Constant| match (constant, vocabulary.fields[place].1) {
            (Constant::Text(_), FieldKind::Text) | (Constant::Flag(_), FieldKind::Flag) => true,
            (Constant::Int(_), kind) => kind.is_number(),
            _ => false,
        };
        match constants.filter(|all: &Vec<Constant>| !all.is_empty() && all.iter().all(fits)) {
            Some(mut any_of) => {
                any_of.sort();
                conditions.push(Condition { field: place, any_of });
            }
            None => table.report(&name, quoted(&value), "a value (or a list of values) of the field's kind"),
        }
    }
    conditions
}

impl FromToml for Constant {
    const EXPECTED: &'static str = "a text, a whole number or a boolean";
    fn from_toml(value: &Value) -> Option<Self> {
        match value {
            Value::String(text) => Some(Constant::Text(text.clone())),
            Value::Integer(value) => Some(Constant::Int(*value)),
            Value::Boolean(value) => Some(Constant::Flag(*value)),
            _ => None,
        }
    }
}

/// The feature that says what is normal: the one named by `norm`, else the longest window of the same
/// aggregate over the same entity, filter and delay, where that is longer.
fn link_norms(features: &mut [Feature], named: &[Option<String>], root: &Section) {
    for i in 0..features.len() {
        let norm = match named.get(i).and_then(Option::as_ref) {
            Some(name) => {
                let place = features.iter().position(|feature| feature.name == *name);
                if place.is_none() {
                    root.report(
                        &format!("feature[{i}].norm"),
                        format!("\"{name}\""),
                        "the name of a feature",
                    );
                }
                place
            }
            None => longest_sibling(features, i),
        };
        features[i].norm = norm;
    }
}

fn longest_sibling(features: &[Feature], of: usize) -> Option<usize> {
    let own = features[of].windowed()?;
    if own.aggregate == Aggregate::TimeSinceLast {
        return None;
    }
    let same = |other: &Windowed| {
        (other.entity, other.aggregate, other.delay, &other.filter)
            == (own.entity, own.aggregate, own.delay, &own.filter)
            && other.major_scale == own.major_scale
            && other.window > own.window
    };
    let longer =
        |(i, feature): (usize, &Feature)| feature.windowed().filter(|w| same(w)).map(|w| (w.window, i));
    features.iter().enumerate().filter_map(longer).max().map(|(_, i)| i)
}

/// A hash over the parsed definitions, so that comments and order of keys do not make a new version.
fn version(features: &[Feature], vocabulary: &Vocabulary) -> String {
    let mut hash = SipHasher13::new();
    hash.write(format!("{features:?} {vocabulary:?}").as_bytes());
    format!("{:016x}", hash.finish())
}
