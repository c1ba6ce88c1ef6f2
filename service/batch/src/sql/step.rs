//! What no frame can count: different values, and frauds as they were known. Both are running totals of steps in
//! time, +1 where something comes into the window and -1 where it leaves, read off where a payment asks.
//!
//! ```text
//! at_ms, ord      null for the beginning of a time, before all of its payments
//! seat            of one ord: 0 what the payment counts, 1 the payment that asks (change 0), 2 what it does not
//! ```
//! A value is in the window from the first payment with it until the window has passed the last of a chain of
//! payments with it, each within the window of the one before. A fraud is known for spells: its payment counts while
//! it is in the window and known to be one.
//! Edges after a plane sweep; Spark refuses `COUNT(DISTINCT ...) OVER`, and a self join is quadratic in a busy merchant.

use feature_store::definition::{Aggregate, Windowed};

use super::{Dialect, Script, Table};

/// The spells during which a payment is known to be fraud: a source that repeats itself says nothing new, the newest
/// verdict known wins, and of one time fraud does.
pub(super) fn fraud(dialect: Dialect) -> Table {
    let sources = schemas::payment::LabelSource::ALL.map(|source| {
        dialect.constant(&feature_store::definition::Constant::Text(source.as_str().to_owned()))
    });
    let query = format!(
        "  SELECT p.ord, s.since_ms, s.until_ms
  FROM (
    SELECT transaction_id, since_ms, fraud,
      LEAD(since_ms) OVER (PARTITION BY transaction_id ORDER BY since_ms) AS until_ms
    FROM (
      SELECT transaction_id, since_ms, MAX(fraud) AS fraud
      FROM (
        SELECT transaction_id, fraud, MIN(label_time_ms) AS since_ms
        FROM (
          SELECT transaction_id, label_time_ms, CASE WHEN fraud THEN 1 ELSE 0 END AS fraud,
            CASE WHEN source IN ({}) THEN source ELSE 'other' END AS source
          FROM labels
        ) said
        GROUP BY transaction_id, fraud, source
      ) first_said
      GROUP BY transaction_id, since_ms
    ) verdict
  ) s
  JOIN payments p ON p.transaction_id = s.transaction_id
  WHERE s.fraud = 1",
        sources.join(", ")
    );
    Table { name: "fraud".to_owned(), query }
}

/// The tables behind a feature's total, if it is one of steps.
pub(super) fn tables(
    script: &Script<'_>,
    number: usize,
    windowed: &Windowed,
    source: &str,
) -> Option<[Table; 3]> {
    let (span, steps) = match windowed.aggregate {
        Aggregate::Distinct(field) => {
            of_values(script, number, windowed, source, &script.columns.field(field))
        }
        Aggregate::FraudCount | Aggregate::FraudRatio => of_frauds(script, number, windowed, source),
        _ => return None,
    };
    let key = script.columns.entity(windowed.entity);
    let total = format!(
        "  SELECT ord, total
  FROM (
    SELECT ord, seat, CAST(SUM(change) OVER (
      PARTITION BY entity_key ORDER BY at_ms, ord NULLS FIRST, seat
      ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    ) AS BIGINT) AS total
    FROM (
      SELECT entity_key, at_ms, ord, seat, change FROM f{number}_step
      UNION ALL
      SELECT {key}, event_time_ms, ord, 1, 0 FROM {source}
    ) stepped
  ) totals
  WHERE seat = 1"
    );
    Some([
        Table { name: format!("f{number}_span"), query: span },
        Table { name: format!("f{number}_step"), query: steps },
        Table { name: format!("f{number}_total"), query: total },
    ])
}

/// Where a payment comes into the window: at its own place, or at the beginning of a later time.
fn entry_ord(windowed: &Windowed) -> &'static str {
    if windowed.delay.0 == 0 { "ord" } else { "CAST(NULL AS BIGINT)" }
}

fn entry_seat(windowed: &Windowed) -> u8 {
    if windowed.delay.0 == 0 && !windowed.include_current { 2 } else { 0 }
}

fn of_values(
    script: &Script<'_>,
    number: usize,
    windowed: &Windowed,
    source: &str,
    value: &str,
) -> (String, String) {
    let key = script.columns.entity(windowed.entity);
    let (window_ms, delay_ms) = (windowed.window.0, windowed.delay.0);
    let condition = script.columns.condition(&windowed.filter);
    let condition = condition.map_or_else(String::new, |condition| format!(" AND {condition}"));
    let span = format!(
        "  SELECT {key} AS entity_key, event_time_ms, ord,
    LAG(event_time_ms) OVER same AS before_ms, LEAD(event_time_ms) OVER same AS next_ms
  FROM {source}
  WHERE {value} IS NOT NULL{condition}
  WINDOW same AS (PARTITION BY {key}, {value} ORDER BY event_time_ms, ord)"
    );
    let steps = format!(
        "  SELECT entity_key, event_time_ms + {delay_ms} AS at_ms, {} AS ord, {} AS seat, 1 AS change
  FROM f{number}_span
  WHERE before_ms IS NULL OR before_ms + {window_ms} <= event_time_ms
  UNION ALL
  SELECT entity_key, event_time_ms + {}, CAST(NULL AS BIGINT), 0, -1
  FROM f{number}_span
  WHERE next_ms IS NULL OR event_time_ms + {window_ms} <= next_ms",
        entry_ord(windowed),
        entry_seat(windowed),
        delay_ms + window_ms,
    );
    (span, steps)
}

fn of_frauds(script: &Script<'_>, number: usize, windowed: &Windowed, source: &str) -> (String, String) {
    let key = script.columns.entity(windowed.entity);
    let (delay_ms, leaves_ms) = (windowed.delay.0, windowed.delay.0 + windowed.window.0);
    let condition = script.columns.condition(&windowed.filter);
    let condition = condition.map_or_else(String::new, |condition| format!(" WHERE {condition}"));
    // Known before its own time, it comes into the window as any payment; else at the beginning of the time.
    let at_entry = |there: &str, later: &str| match windowed.delay.0 {
        0 => format!("CASE WHEN since_ms <= event_time_ms THEN {there} ELSE {later} END"),
        _ => later.to_owned(),
    };
    let own = at_entry(entry_ord(windowed), "CAST(NULL AS BIGINT)");
    let seat = at_entry(&entry_seat(windowed).to_string(), "0");
    let span = format!(
        "  SELECT entity_key, from_ms, until_ms, {own} AS ord, {seat} AS seat
  FROM (
    SELECT e.entity_key, e.event_time_ms, e.ord, f.since_ms,
      GREATEST(e.event_time_ms + {delay_ms}, f.since_ms) AS from_ms,
      LEAST(e.event_time_ms + {leaves_ms}, COALESCE(f.until_ms, e.event_time_ms + {leaves_ms})) AS until_ms
    FROM (SELECT {key} AS entity_key, event_time_ms, ord FROM {source}{condition}) e
    JOIN fraud f ON f.ord = e.ord
  ) known
  WHERE from_ms < until_ms"
    );
    let steps = format!(
        "  SELECT entity_key, from_ms AS at_ms, ord, seat, 1 AS change FROM f{number}_span
  UNION ALL
  SELECT entity_key, until_ms, CAST(NULL AS BIGINT), 0, -1 FROM f{number}_span"
    );
    (span, steps)
}
