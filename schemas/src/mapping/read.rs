//! `[payment]` of the config, read into a [`PaymentMapping`].

use toml::Value;

use super::{
    AmountUnit, CurrencySource, EntityMapping, FieldKind, FieldMapping, FieldPath, MAX_MAPPED,
    PaymentMapping, TimeUnit,
};
use crate::document::{FromToml, Section, quoted};
use crate::payment::Currency;

impl FromToml for FieldPath {
    const EXPECTED: &'static str = "the name of a field, or a dotted path such as \"merchant.country\"";
    fn from_toml(value: &Value) -> Option<Self> {
        FieldPath::parse(value.as_str()?)
    }
}

/// A field and what the user said about it: `"name"` or `{ field = "name", unit = "s" }`.
struct Described {
    path: FieldPath,
    with: Section,
}

impl PaymentMapping {
    /// Reads the section; problems are reported to its sink.
    pub fn read(mut section: Section) -> Option<PaymentMapping> {
        let transaction_id = section.required("transaction_id");
        let event_time = described(&mut section, "event_time").map(|mut time| {
            let units = [
                ("s", TimeUnit::Second),
                ("ms", TimeUnit::Milli),
                ("us", TimeUnit::Micro),
                ("ns", TimeUnit::Nano),
            ];
            (time.path, time.with.word("unit", &units))
        });
        let amount = described(&mut section, "amount").and_then(amount);
        let currency = currency(&mut section);
        let entities = entities(section.section("entities"));
        let fields = fields(section.section("fields"));
        if entities.is_empty() {
            section.report("entities", "no entity", "at least one, such as customer = \"CUSTOMER_ID\"");
        }
        let (event_time, event_time_unit) = event_time?;
        let (amount, amount_unit) = amount?;
        Some(PaymentMapping {
            transaction_id: transaction_id?,
            event_time,
            event_time_unit,
            amount,
            amount_unit,
            currency: currency?,
            entities,
            fields,
        })
    }
}

fn described(section: &mut Section, key: &str) -> Option<Described> {
    if section.has(key) && !section.is_table(key) {
        let path = section.required(key)?;
        let with = section.empty(key);
        return Some(Described { path, with });
    }
    if !section.has(key) {
        section.report(key, "nothing", "the name of a field, or { field = \"...\" }");
        return None;
    }
    let mut with = section.section(key);
    Some(Described { path: with.required("field")?, with })
}

fn amount(mut amount: Described) -> Option<(FieldPath, AmountUnit)> {
    let has_unit = amount.with.has("unit");
    let major = amount.with.word("unit", &[("minor", false), ("major", true)]);
    let unit = match major {
        Some(false) => AmountUnit::Minor,
        Some(true) => {
            let scale = amount.with.integer_within("scale", 2, 0..=6);
            AmountUnit::Major { scale: scale as u32 }
        }
        None => {
            if !has_unit {
                amount.with.report("unit", "nothing", "unit = \"minor\", or unit = \"major\" with its scale");
            }
            return None;
        }
    };
    Some((amount.path, unit))
}

fn currency(section: &mut Section) -> Option<CurrencySource> {
    if section.is_table("currency") {
        let mut table = section.section("currency");
        if table.has("value") {
            let text: String = table.required("value")?;
            let currency = Currency::parse(&text);
            if currency.is_none() {
                table.report("value", format!("\"{text}\""), "three capital letters, such as \"EUR\"");
            }
            return currency.map(CurrencySource::Constant);
        }
        return table.required("field").map(CurrencySource::Field);
    }
    section.required("currency").map(CurrencySource::Field)
}

fn entities(mut section: Section) -> Vec<EntityMapping> {
    let mut entities = Vec::new();
    for name in section.remaining_keys() {
        let value = section.raw(&name);
        let key = match &value {
            Some(value @ Value::String(_)) => FieldPath::from_toml(value).map(|path| vec![path]),
            Some(value) => Vec::<FieldPath>::from_toml(value).filter(|parts| (1..=8).contains(&parts.len())),
            None => None,
        };
        match key {
            Some(key) => entities.push(EntityMapping { name, key }),
            None => {
                let found = value.as_ref().map_or_else(String::new, quoted);
                section.report(&name, found, "a field, or a list of one to eight fields");
            }
        }
    }
    bounded(&section, entities)
}

fn fields(mut section: Section) -> Vec<FieldMapping> {
    let mut fields = Vec::new();
    for name in section.remaining_keys() {
        if matches!(name.as_str(), "amount" | "currency" | "label") {
            section.report(&name, "a built-in name", "another name");
        }
        let Some(mut field) = described(&mut section, &name) else { continue };
        let kinds = [("text", 0), ("integer", 1), ("decimal", 2), ("flag", 3)];
        let kind = match field.with.word("kind", &kinds) {
            Some(1) => FieldKind::Integer,
            Some(2) => FieldKind::Decimal { scale: field.with.integer_within("scale", 2, 0..=9) as u32 },
            Some(3) => FieldKind::Flag,
            _ => FieldKind::Text,
        };
        fields.push(FieldMapping { name, path: field.path, kind });
    }
    bounded(&section, fields)
}

fn bounded<T>(section: &Section, mut items: Vec<T>) -> Vec<T> {
    if items.len() > MAX_MAPPED {
        section.report("", format!("{} names", items.len()), format!("at most {MAX_MAPPED}"));
        items.truncate(MAX_MAPPED);
    }
    items
}
