//! Wording: a feature's definition as a sentence for an analyst, "7 payments of this card in 1 h, usually 0.3".
//!
//! All but the two numbers is put together once. English only; a code beside each text is what programs read.

use feature_store::definition::{
    Aggregate, Condition, Constant, Feature, Kind, Number, Request, Vocabulary, Windowed,
};
use schemas::time::{DAY_MS, DurationMs, HOUR_MS, MINUTE_MS, SECOND_MS};

use super::norm::{number, scale};

/// The words around a feature's value.
#[derive(Debug, Clone)]
pub(super) struct Wording {
    before: String,
    unit: Unit,
    after: String,
}

/// How a value of the feature is written.
#[derive(Debug, Clone)]
enum Unit {
    /// So many of something: the noun for one and for several.
    Things(String, String),
    /// A number of the payment, with the decimal places that it is shown with.
    Number(usize),
    /// A number of the payment in whole minor units.
    Minor,
    /// A share, in per cent.
    Share,
    /// Milliseconds.
    Time,
    /// As short as it can be.
    Plain,
}

impl Wording {
    /// The words for a feature, in the names that the mapping gives to entities and fields.
    pub(super) fn of(feature: &Feature, vocabulary: &Vocabulary) -> Self {
        match &feature.kind {
            Kind::Request(Request::Amount { .. }) => {
                Self { before: "amount ".to_owned(), unit: number_unit(feature), after: String::new() }
            }
            Kind::Request(_) => {
                Self { before: format!("{} ", feature.name), unit: Unit::Plain, after: String::new() }
            }
            Kind::Windowed(windowed) => Self::windowed(feature, windowed, vocabulary),
        }
    }

    fn windowed(feature: &Feature, windowed: &Windowed, vocabulary: &Vocabulary) -> Self {
        let field = |place: usize| vocabulary.fields.get(place).map_or("a field", |(name, _)| name.as_str());
        let things = |one: &str, many: &str| (String::new(), Unit::Things(one.to_owned(), many.to_owned()));
        let measured = |how: &str, of: Number| {
            let of = if let Number::Field(place) = of { field(place) } else { "amount" };
            (format!("{how} {of} "), number_unit(feature))
        };
        let of_entity =
            format!(" of this {}", vocabulary.entities.get(windowed.entity).map_or("entity", String::as_str));
        let filter = filter(&windowed.filter, field);
        let window = window(windowed);
        let mut after = format!("{of_entity}{filter}{window}");
        let (before, unit) = match windowed.aggregate {
            Aggregate::Count => things("payment", "payments"),
            Aggregate::FraudCount => things("known fraud", "known frauds"),
            Aggregate::Sum(of) => measured("total", of),
            Aggregate::Mean(of) => measured("mean", of),
            Aggregate::Min(of) => measured("smallest", of),
            Aggregate::Max(of) => measured("largest", of),
            Aggregate::Distinct(place) => {
                let name = field(place);
                things(&format!("value of {name}"), &format!("different values of {name}"))
            }
            Aggregate::TimeSinceLast => {
                after = format!(" since the last payment{of_entity}{filter}");
                (String::new(), Unit::Time)
            }
            Aggregate::FraudRatio => {
                after = format!(" of the payments{of_entity}{filter}{window} known as fraud");
                (String::new(), Unit::Share)
            }
        };
        Self { before, unit, after }
    }

    /// The sentence.
    pub(super) fn sentence(&self, value: f64, usual: f64) -> String {
        let noun = match &self.unit {
            Unit::Things(one, _) if value == 1.0 => one,
            Unit::Things(_, many) => many,
            _ => "",
        };
        let space = if noun.is_empty() { "" } else { " " };
        let (shown, usual) = (self.unit.shown(value), self.unit.shown(usual));
        format!("{}{shown}{space}{noun}{}, usually {usual}", self.before, self.after)
    }
}

impl Unit {
    fn shown(&self, value: f64) -> String {
        match self {
            Unit::Number(places) => format!("{value:.places$}"),
            Unit::Minor => format!("{value:.0} minor units"),
            Unit::Share => format!("{} %", short(value * 100.0)),
            Unit::Time => time(value),
            Unit::Things(..) | Unit::Plain => short(value),
        }
    }
}

fn number_unit(feature: &Feature) -> Unit {
    match (number(feature), scale(feature) as usize) {
        (Some(Number::Amount), 0) => Unit::Minor,
        (_, 0) => Unit::Plain,
        (_, places) => Unit::Number(places),
    }
}

fn filter<'a>(conditions: &[Condition], field: impl Fn(usize) -> &'a str) -> String {
    let constant = |constant: &Constant| match constant {
        Constant::Text(text) => text.clone(),
        Constant::Int(value) => value.to_string(),
        Constant::Flag(value) => value.to_string(),
    };
    let condition = |condition: &Condition| {
        let any_of: Vec<_> = condition.any_of.iter().map(constant).collect();
        format!("{} {}", field(condition.field), any_of.join(" or "))
    };
    let all: Vec<_> = conditions.iter().map(condition).collect();
    if all.is_empty() { String::new() } else { format!(" ({})", all.join(", ")) }
}

fn window(windowed: &Windowed) -> String {
    let mut text = format!(" in {}", spaced(windowed.window));
    if windowed.delay.0 > 0 {
        text += &format!(", up to {} ago", spaced(windowed.delay));
    } else if !windowed.include_current {
        text += " before this one";
    }
    text
}

/// `7d` with a space, as it is printed.
fn spaced(duration: DurationMs) -> String {
    let text = duration.to_string();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    format!("{number} {unit}")
}

/// A probability with two to four decimal places. Cut, not rounded: a score below a threshold must not be
/// shown as if it had reached it.
pub(super) fn fraction(probability: f64) -> String {
    let text = format!("{probability}");
    let (whole, places) = text.split_once('.').unwrap_or((&text, ""));
    let places = places.get(..4).unwrap_or(places).trim_end_matches('0');
    format!("{whole}.{places:0<2}")
}

/// A number as short as an analyst wants it: `7`, `0.3`, `12.5`, `0.04`.
fn short(value: f64) -> String {
    let size = value.abs();
    let places = match size {
        _ if value == value.round() || size >= 100.0 => 0,
        _ if size >= 0.1 => 1,
        _ if size >= 0.01 => 2,
        _ if size >= 0.001 => 3,
        _ => return "almost 0".to_owned(),
    };
    let text = format!("{value:.places$}");
    text.strip_suffix(".0").unwrap_or(&text).to_owned()
}

fn time(ms: f64) -> String {
    let units = [(DAY_MS, "d"), (HOUR_MS, "h"), (MINUTE_MS, "min"), (SECOND_MS, "s")];
    let unit = units.into_iter().find(|(unit_ms, _)| ms.abs() >= *unit_ms as f64);
    let (unit_ms, unit) = unit.unwrap_or((1, "ms"));
    format!("{} {unit}", short(ms / unit_ms as f64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        let shown = [7.0, 0.3004, 12.46, 12.0, 216.4, 0.99, 0.04, 0.004, 0.0004, 0.0, -3.25].map(short);
        let wanted = ["7", "0.3", "12.5", "12", "216", "1", "0.04", "0.004", "almost 0", "0", "-3.2"];
        assert_eq!(shown, wanted);
    }

    #[test]
    fn a_score_is_never_shown_higher_than_it_is() {
        let shown = [0.93, 0.9, 1.0, 0.0, 0.899_99, f64::from(0.9_f32), 0.955, 1e-9, f64::MIN_POSITIVE];
        let wanted = ["0.93", "0.90", "1.00", "0.00", "0.8999", "0.8999", "0.955", "0.00", "0.00"];
        assert_eq!(shown.map(fraction), wanted);
    }

    #[test]
    fn times_have_a_fitting_unit() {
        let shown = [12.0, 12_000.0, 720_000.0, 11_520_000.0, 345_600_000.0, 0.0].map(time);
        assert_eq!(shown, ["12 ms", "12 s", "12 min", "3.2 h", "4 d", "0 ms"]);
    }
}
