//! What a window function's frames can count, exactly.
//!
//! ```text
//! (t - delay - window, t - delay]   RANGE BETWEEN delay + window - 1 PRECEDING AND delay PRECEDING
//! without delay                     RANGE ... AND 1 PRECEDING: the times before its own, whole,
//!                                   and _tied: ROWS of its own time by ord, up to itself or before it
//! ```
//! A RANGE frame that ends at the current row takes all payments of its time, later ones too; hence the second.

use std::collections::BTreeMap;

use feature_store::definition::{Aggregate, Number, Windowed};

use super::{Dialect, Script, Table};

/// One window function of a feature.
struct Part {
    name: &'static str,
    call: String,
}

/// The table with the parts of all features of an entity.
pub(super) fn table(script: &Script<'_>, entity: usize, source: &str) -> Table {
    let key = script.columns.entity(entity);
    let mut selected = vec!["ord".to_owned(), "event_time_ms".to_owned()];
    let mut windows = BTreeMap::new();
    for (number, windowed) in script.windowed(entity) {
        for Part { name, call } in parts(script, windowed) {
            if let Some((from_ms, to_ms)) = range_ms(windowed) {
                let over = format!("from_{from_ms}_to_{to_ms}");
                selected.push(format!("{call} OVER {over} AS f{number}_{name}"));
                let frame = format!("RANGE BETWEEN {from_ms} PRECEDING AND {to_ms} PRECEDING");
                windows.insert(over, format!("(PARTITION BY {key} ORDER BY event_time_ms {frame})"));
            }
            if has_ties(windowed) {
                let (over, last) =
                    if itself(windowed) { ("tied", "CURRENT ROW") } else { ("tied_before", "1 PRECEDING") };
                selected.push(format!("{call} OVER {over} AS f{number}_{name}_tied"));
                let frame = format!("ROWS BETWEEN UNBOUNDED PRECEDING AND {last}");
                let window = format!("(PARTITION BY {key}, event_time_ms ORDER BY ord {frame})");
                windows.insert(over.to_owned(), window);
            }
        }
    }
    let mut query = format!("  SELECT {}\n  FROM {source}", selected.join(",\n    "));
    if !windows.is_empty() {
        let windows = windows.into_iter().map(|(name, window)| format!("{name} AS {window}"));
        query += &format!("\n  WINDOW {}", windows.collect::<Vec<_>>().join(",\n    "));
    }
    Table { name: format!("{source}_window"), query }
}

/// Where the RANGE frame begins and ends before the payment; `None` where only its own time is left.
fn range_ms(windowed: &Windowed) -> Option<(i64, i64)> {
    let from_ms = windowed.delay.0 + windowed.window.0 - 1;
    let to_ms = windowed.delay.0.max(1);
    (from_ms >= to_ms).then_some((from_ms, to_ms))
}

fn has_ties(windowed: &Windowed) -> bool {
    windowed.delay.0 == 0
}

/// Whether the payment itself counts; it is never the last one before itself.
fn itself(windowed: &Windowed) -> bool {
    windowed.include_current && windowed.aggregate != Aggregate::TimeSinceLast
}

fn parts(script: &Script<'_>, windowed: &Windowed) -> Vec<Part> {
    let condition = script.columns.condition(&windowed.filter);
    let passing = |value: &str| match &condition {
        Some(condition) => format!("CASE WHEN {condition} THEN {value} END"),
        None => value.to_owned(),
    };
    let number = |number: Number| passing(&script.columns.number(number));
    let part = |name, function: &str, of: &str| Part { name, call: format!("{function}({of})") };
    let sum = |of: Number| part("sum", "SUM", &script.dialect.wide(&number(of)));
    match windowed.aggregate {
        Aggregate::Count | Aggregate::FraudRatio => vec![part("count", "COUNT", &passing("1"))],
        Aggregate::Sum(of) => vec![sum(of)],
        Aggregate::Mean(of) => vec![sum(of), part("count", "COUNT", &number(of))],
        Aggregate::Min(of) => vec![part("min", "MIN", &number(of))],
        Aggregate::Max(of) => vec![part("max", "MAX", &number(of))],
        Aggregate::TimeSinceLast => vec![part("last", "MAX", &passing("event_time_ms"))],
        Aggregate::Distinct(_) | Aggregate::FraudCount => Vec::new(),
    }
}

/// The value of a feature from its parts (of the table `w`) and its total of steps; null where there is none.
pub(super) fn value(dialect: Dialect, number: usize, windowed: &Windowed) -> String {
    let both = |name: &str| {
        let frames = [(range_ms(windowed).is_some(), ""), (has_ties(windowed), "_tied")];
        let used = frames.iter().filter(|(used, _)| *used);
        used.map(|(_, tied)| format!("w.f{number}_{name}{tied}")).collect::<Vec<_>>()
    };
    let count = || both("count").join(" + ");
    // The sum of an empty frame is null.
    let sum = || {
        let parts: Vec<_> = both("sum").iter().map(|part| format!("COALESCE({part}, 0)")).collect();
        format!("({})", parts.join(" + "))
    };
    // The others leave nulls out.
    let extreme = |pick: &str, name: &str| match &both(name)[..] {
        [one] => one.clone(),
        parts => format!("{pick}({})", parts.join(", ")),
    };
    let scale = 10_i64.pow(windowed.major_scale.unwrap_or(0));
    let major = |minor: String| match windowed.major_scale {
        Some(_) => format!("CAST({minor} AS DOUBLE) / CAST({scale} AS DOUBLE)"),
        None => minor,
    };
    let where_any = |value: String| format!("CASE WHEN {} > 0 THEN {value} END", count());
    let total = || format!("f{number}_total.total");
    match windowed.aggregate {
        Aggregate::Count => count(),
        Aggregate::FraudCount | Aggregate::Distinct(_) => total(),
        Aggregate::Sum(_) if windowed.major_scale.is_none() => dialect.wrapped(&sum()),
        Aggregate::Sum(_) => format!("{} / CAST({scale} AS DOUBLE)", dialect.real(&sum())),
        Aggregate::Mean(_) => where_any(format!(
            "{} / CAST(({}) * CAST({scale} AS BIGINT) AS DOUBLE)",
            dialect.real(&sum()),
            count()
        )),
        Aggregate::Min(_) => major(extreme("LEAST", "min")),
        Aggregate::Max(_) => major(extreme("GREATEST", "max")),
        Aggregate::TimeSinceLast => format!("w.event_time_ms - {}", extreme("GREATEST", "last")),
        Aggregate::FraudRatio => {
            where_any(format!("CAST({} AS DOUBLE) / CAST({} AS DOUBLE)", total(), count()))
        }
    }
}
