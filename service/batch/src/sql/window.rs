//! What a window function's frames can tell, exactly.
//!
//! ```text
//! count, sum, mean    what has come into the window so far - what has left it: two growing frames, one subtraction
//! time since the last the newest so far, where it has not left the window
//! min, max            the frame of the window itself, since nothing can be subtracted
//!
//! so far, delayed     RANGE BETWEEN UNBOUNDED PRECEDING AND delay PRECEDING
//! so far, not delayed ROWS by time and ord, up to itself or before it
//! left                RANGE BETWEEN UNBOUNDED PRECEDING AND delay + window PRECEDING
//! ```
//! A RANGE frame that ends at the current row takes all payments of its time, later ones too; hence the ROWS, and for
//! an extreme a second frame of its own time alone. Growing frames are linear in every engine; Spark goes through the
//! whole of a moving one for each payment, so an extreme over a busy entity is dear there.

use std::collections::BTreeMap;

use feature_store::definition::{Aggregate, Number, Windowed};

use super::{Script, Table};

/// The window functions of an entity, each once.
struct Frames<'a> {
    script: &'a Script<'a>,
    key: String,
    /// Calls with their windows, in the order of their numbers.
    calls: Vec<String>,
    /// The windows by name.
    windows: BTreeMap<String, String>,
}

/// The table of an entity's window functions, and the value of each feature from its columns (as `w`) and from its total
/// of steps; null where there is none.
pub(super) fn table(script: &Script<'_>, entity: usize, source: &str) -> (Table, Vec<String>) {
    let key = script.columns.entity(entity);
    let mut frames = Frames { script, key, calls: Vec::new(), windows: BTreeMap::new() };
    let values = script.windowed(entity).map(|(number, windowed)| frames.value(number, windowed)).collect();
    let calls = (1..).zip(&frames.calls).map(|(number, call)| format!(",\n    {call} AS n{number}"));
    let mut query = format!("  SELECT ord, event_time_ms{}\n  FROM {source}", calls.collect::<String>());
    if !frames.windows.is_empty() {
        let windows = frames.windows.iter().map(|(name, window)| format!("{name} AS ({window})"));
        query += &format!("\n  WINDOW {}", windows.collect::<Vec<_>>().join(",\n    "));
    }
    (Table { name: format!("{source}_window"), query }, values)
}

impl Frames<'_> {
    fn value(&mut self, number: usize, windowed: &Windowed) -> String {
        let dialect = self.script.dialect;
        let scale = 10_i64.pow(windowed.major_scale.unwrap_or(0));
        let total = format!("f{number}_total.total");
        match windowed.aggregate {
            Aggregate::Count => self.count(windowed, "1"),
            Aggregate::FraudCount | Aggregate::Distinct(_) => total,
            Aggregate::Sum(of) => {
                let sum = self.sum(windowed, of);
                match windowed.major_scale {
                    None => dialect.wrapped(&sum),
                    Some(_) => format!("{} / CAST({scale} AS DOUBLE)", dialect.real(&sum)),
                }
            }
            Aggregate::Mean(of) => {
                let (sum, count) = (self.sum(windowed, of), self.count(windowed, &self.number(of)));
                let by = format!("CAST({count} * CAST({scale} AS BIGINT) AS DOUBLE)");
                format!("CASE WHEN {count} > 0 THEN {} / {by} END", dialect.real(&sum))
            }
            Aggregate::FraudRatio => {
                let count = self.count(windowed, "1");
                format!("CASE WHEN {count} > 0 THEN CAST({total} AS DOUBLE) / CAST({count} AS DOUBLE) END")
            }
            Aggregate::Min(of) => self.extreme(windowed, of, "MIN", "LEAST"),
            Aggregate::Max(of) => self.extreme(windowed, of, "MAX", "GREATEST"),
            Aggregate::TimeSinceLast => {
                let so_far = self.so_far(windowed, false);
                let last = self.column("MAX", &self.passing(windowed, "event_time_ms"), so_far);
                let reach_ms = windowed.delay.0 + windowed.window.0;
                format!("CASE WHEN {last} > w.event_time_ms - {reach_ms} THEN w.event_time_ms - {last} END")
            }
        }
    }

    fn count(&mut self, windowed: &Windowed, of: &str) -> String {
        let [so_far, left] = self.so_far_and_left(windowed, "COUNT", &self.passing(windowed, of));
        format!("({so_far} - {left})")
    }

    fn sum(&mut self, windowed: &Windowed, of: Number) -> String {
        let wide = self.script.dialect.wide(&self.passing(windowed, &self.number(of)));
        let [so_far, left] = self.so_far_and_left(windowed, "SUM", &wide);
        // The sum of an empty frame is null.
        format!("(COALESCE({so_far}, 0) - COALESCE({left}, 0))")
    }

    fn extreme(&mut self, windowed: &Windowed, of: Number, function: &str, pick: &str) -> String {
        let of = self.passing(windowed, &self.number(of));
        let (from_ms, to_ms) = (windowed.delay.0 + windowed.window.0 - 1, windowed.delay.0.max(1));
        let mut found = Vec::new();
        if from_ms >= to_ms {
            let frame = format!("RANGE BETWEEN {from_ms} PRECEDING AND {to_ms} PRECEDING");
            let window = format!("PARTITION BY {} ORDER BY event_time_ms {frame}", self.key);
            found.push(self.column(function, &of, (format!("from_{from_ms}_to_{to_ms}"), window)));
        }
        if windowed.delay.0 == 0 {
            let (name, last) = so_far_end(windowed.include_current);
            let frame = format!("ROWS BETWEEN UNBOUNDED PRECEDING AND {last}");
            let window = format!("PARTITION BY {}, event_time_ms ORDER BY ord {frame}", self.key);
            found.push(self.column(function, &of, (format!("tied_{name}"), window)));
        }
        // Both leave nulls out.
        let minor = if found.len() == 1 { found.remove(0) } else { format!("{pick}({})", found.join(", ")) };
        match windowed.major_scale {
            Some(scale) => format!("CAST({minor} AS DOUBLE) / CAST({} AS DOUBLE)", 10_i64.pow(scale)),
            None => minor,
        }
    }

    fn so_far_and_left(&mut self, windowed: &Windowed, function: &str, of: &str) -> [String; 2] {
        let so_far = self.so_far(windowed, windowed.include_current);
        let left = self.until(windowed.delay.0 + windowed.window.0);
        [self.column(function, of, so_far), self.column(function, of, left)]
    }

    /// Name and text of the window of all that has come so far.
    fn so_far(&self, windowed: &Windowed, itself: bool) -> (String, String) {
        if windowed.delay.0 > 0 {
            return self.until(windowed.delay.0);
        }
        let (name, last) = so_far_end(itself);
        let frame = format!("ROWS BETWEEN UNBOUNDED PRECEDING AND {last}");
        (name.to_owned(), format!("PARTITION BY {} ORDER BY event_time_ms, ord {frame}", self.key))
    }

    fn until(&self, ms: i64) -> (String, String) {
        let frame = format!("RANGE BETWEEN UNBOUNDED PRECEDING AND {ms} PRECEDING");
        (format!("until_{ms}"), format!("PARTITION BY {} ORDER BY event_time_ms {frame}", self.key))
    }

    /// The column of a window function.
    fn column(&mut self, function: &str, of: &str, (name, window): (String, String)) -> String {
        let call = format!("{function}({of}) OVER {name}");
        self.windows.insert(name, window);
        let known = self.calls.iter().position(|known| *known == call);
        let place = known.unwrap_or_else(|| {
            self.calls.push(call);
            self.calls.len() - 1
        });
        format!("w.n{}", place + 1)
    }

    fn number(&self, number: Number) -> String {
        self.script.columns.number(number)
    }

    /// A value where the event meets the feature's conditions, else null.
    fn passing(&self, windowed: &Windowed, value: &str) -> String {
        match self.script.columns.condition(&windowed.filter) {
            Some(condition) => format!("CASE WHEN {condition} THEN {value} END"),
            None => value.to_owned(),
        }
    }
}

fn so_far_end(itself: bool) -> (&'static str, &'static str) {
    if itself { ("to_itself", "CURRENT ROW") } else { ("before_itself", "1 PRECEDING") }
}
