//! The features file as SQL: one statement that computes every feature of every payment by event time.
//!
//! ```text
//! payments ─► entity_1 ─┬─► entity_1_window     frames: count, sum, mean, min, max, time since the last ─┐
//!                       └─► f7_step, f7_total   steps: distinct, frauds ─────────────────────────────────┴─► values
//! labels ───► fraud ────────┘
//! ```
//! Why: a third answer that shares no line of code with the stream and the kernel, for a machine that has DuckDB and
//! for a cluster that has Spark. All arithmetic is on integers, and a real is one division at the end, so the answers
//! are the kernel's to the last bit.
//! Not here: where the tables come from, and what was known when a decision was made (the kernel's `as_of_log`).

use feature_store::definition::{Aggregate, Definitions, Feature, Kind, Request, Vocabulary, Windowed};
use schemas::mapping::FieldKind;
use schemas::value::ValueKind;

mod columns;
mod dialect;
mod step;
#[cfg(test)]
mod tests;
mod window;

pub use dialect::Dialect;

use columns::Columns;

/// A day and an hour, milliseconds.
const DAY_MS: i64 = 86_400_000;
const HOUR_MS: i64 = 3_600_000;

/// A named subquery.
struct Table {
    name: String,
    query: String,
}

/// What all parts of the text need.
struct Script<'a> {
    columns: Columns,
    dialect: Dialect,
    features: &'a [Feature],
}

/// The statement. Its first lines say which tables it reads and what it gives; it has no semicolon, so that it can
/// stand in `COPY (...)` or behind `CREATE TABLE ... AS`. `vocabulary` names the entities and fields to which the
/// definitions refer by place, as the mapping does.
pub fn features_sql(definitions: &Definitions, vocabulary: &Vocabulary, dialect: Dialect) -> String {
    let columns = Columns::of(vocabulary, dialect);
    let script = Script { columns, dialect, features: &definitions.features };
    let mut tables = Vec::new();
    if definitions.use_labels() {
        tables.push(step::fraud(script.dialect));
    }
    let entities: Vec<usize> = (0..definitions.plans.len()).filter(|at| script.uses(*at)).collect();
    for entity in &entities {
        script.entity(*entity, &mut tables);
    }
    let mut text = header(definitions, vocabulary, &script);
    let with: Vec<String> =
        tables.iter().map(|table| format!("{} AS (\n{}\n)", table.name, table.query)).collect();
    if !with.is_empty() {
        text += &format!("WITH {}\n", with.join(",\n"));
    }
    text + &script.answer(&entities)
}

impl Script<'_> {
    fn windowed(&self, entity: usize) -> impl Iterator<Item = (usize, &Windowed)> {
        let numbered = (1..).zip(self.features);
        numbered.filter_map(move |(number, feature)| match &feature.kind {
            Kind::Windowed(windowed) if windowed.entity == entity => Some((number, windowed)),
            _ => None,
        })
    }

    fn uses(&self, entity: usize) -> bool {
        self.windowed(entity).next().is_some()
    }

    /// The tables of one entity: its payments, what its frames and its steps give, and the values.
    fn entity(&self, entity: usize, tables: &mut Vec<Table>) {
        let source = format!("entity_{}", entity + 1);
        let key = self.columns.entity(entity);
        let mut read =
            vec!["ord".to_owned(), "event_time_ms".to_owned(), "amount_minor".to_owned(), key.clone()];
        read.extend(self.columns.fields_of(self.windowed(entity).map(|(_, windowed)| windowed)));
        let query = format!("  SELECT {}\n  FROM payments\n  WHERE {key} IS NOT NULL", read.join(", "));
        tables.push(Table { name: source.clone(), query });
        let (frames, found) = window::table(self, entity, &source);
        tables.push(frames);
        let mut values = vec!["w.ord".to_owned()];
        let mut joins = String::new();
        for ((number, windowed), value) in self.windowed(entity).zip(found) {
            if let Some(steps) = step::tables(self, number, windowed, &source) {
                tables.extend(steps);
                joins += &format!("\n  JOIN f{number}_total ON f{number}_total.ord = w.ord");
            }
            values.push(format!("{value} AS f{number}"));
        }
        let query = format!("  SELECT {}\n  FROM {source}_window w{joins}", values.join(",\n    "));
        tables.push(Table { name: format!("{source}_value"), query });
    }

    /// The last SELECT.
    fn answer(&self, entities: &[usize]) -> String {
        let mut selected = vec!["p.transaction_id".to_owned(), "p.ord".to_owned()];
        let names = self.columns.of_answer(self.features);
        for ((number, feature), name) in (1..).zip(self.features).zip(names) {
            let value = match &feature.kind {
                Kind::Request(request) => self.request(*request),
                Kind::Windowed(windowed) => {
                    or_empty(&format!("v{}.f{number}", windowed.entity + 1), windowed, feature.value_kind())
                }
            };
            selected.push(format!("{value} AS {name}"));
        }
        let joins = entities.iter().map(|entity| {
            let entity = entity + 1;
            format!("\nLEFT JOIN entity_{entity}_value v{entity} ON v{entity}.ord = p.ord")
        });
        format!("SELECT {}\nFROM payments p{}\n", selected.join(",\n  "), joins.collect::<String>())
    }

    /// The columns of the answer: type, and whose behaviour each is.
    fn given(&self, definitions: &Definitions, vocabulary: &Vocabulary) -> Vec<String> {
        let names = self.columns.of_answer(&definitions.features);
        let line = |(feature, name): (&Feature, String)| {
            let whose = match &feature.kind {
                Kind::Request(_) => "of the payment itself".to_owned(),
                Kind::Windowed(windowed) => {
                    let entity = vocabulary.entities.get(windowed.entity).map_or("", String::as_str);
                    let by_labels =
                        matches!(windowed.aggregate, Aggregate::FraudCount | Aggregate::FraudRatio);
                    format!("of the entity {entity}{}", if by_labels { " and its labels" } else { "" })
                }
            };
            format!("  {name}  {}  {whose}", sql_type(feature.value_kind()).to_lowercase())
        };
        definitions.features.iter().zip(names).map(line).collect()
    }

    fn request(&self, request: Request) -> String {
        let in_day_ms = format!("p.event_time_ms % {DAY_MS}");
        // 1970-01-01 was a Thursday, the fourth day of its week.
        let weekday = format!("({} + 3) % 7", self.dialect.quotient("p.event_time_ms", DAY_MS));
        match request {
            Request::Amount { major_scale: None } => "p.amount_minor".to_owned(),
            Request::Amount { major_scale: Some(scale) } => {
                format!("CAST(p.amount_minor AS DOUBLE) / CAST({} AS DOUBLE)", 10_i64.pow(scale))
            }
            Request::Hour => self.dialect.quotient(&format!("({in_day_ms})"), HOUR_MS),
            Request::Weekday => weekday,
            Request::Weekend => format!("{weekday} > 4"),
            Request::Night { until_hour } => format!("{in_day_ms} < {}", (until_hour + 1) * HOUR_MS),
        }
    }
}

/// A payment without the entity has no row there, and an aggregate over nothing is null: both are `empty`.
fn or_empty(value: &str, windowed: &Windowed, kind: ValueKind) -> String {
    let sql_type = sql_type(kind);
    match windowed.empty {
        Some(empty) => format!("COALESCE({value}, CAST({empty} AS {sql_type}))"),
        None => value.to_owned(),
    }
}

fn sql_type(kind: ValueKind) -> &'static str {
    match kind {
        ValueKind::Int => "BIGINT",
        ValueKind::Real => "DOUBLE",
        ValueKind::Flag => "BOOLEAN",
    }
}

/// What the header says of the labels.
const LABELS: [&str; 5] = [
    "labels, in any order and as often as they were said; those of no payment do not matter:",
    "  transaction_id  text",
    "  fraud           boolean  fraud, or confirmed legitimate",
    "  label_time_ms   bigint   from when on it is known",
    "  source          text     who says so",
];

fn header(definitions: &Definitions, vocabulary: &Vocabulary, script: &Script<'_>) -> String {
    let mut lines = vec![
        format!("Every feature of every payment by event time, in the words of {}.", script.dialect.name()),
        format!("Written by Tripline from the features file of version {}.", definitions.version),
        String::new(),
        "Reads tables or views of these names. payments, each payment once:".to_owned(),
        "  transaction_id  text     matches labels.transaction_id".to_owned(),
        "  event_time_ms   bigint   milliseconds since 1970-01-01 UTC".to_owned(),
        "  amount_minor    bigint   minor units".to_owned(),
        "  ord             bigint   order of application, of its own for each payment: of those of one time"
            .to_owned(),
        "                           only those with a smaller ord count, and the payment itself".to_owned(),
    ];
    for (place, name) in vocabulary.entities.iter().enumerate() {
        let column = script.columns.entity(place);
        lines.push(format!("  {column}  text  key of the entity {name}, null where the payment has none"));
    }
    for (place, (name, kind)) in vocabulary.fields.iter().enumerate() {
        let (sql_type, unit) = match kind {
            FieldKind::Text => ("text", String::new()),
            FieldKind::Flag => ("boolean", String::new()),
            FieldKind::Integer => ("bigint", String::new()),
            FieldKind::Decimal { scale } => ("bigint", format!(", times 10^{scale}")),
        };
        lines.push(format!("  {}  {sql_type}  field {name}{unit}, may be null", script.columns.field(place)));
    }
    if definitions.use_labels() {
        lines.extend(LABELS.map(str::to_owned));
    }
    lines.push(String::new());
    let given = "Gives one row for each payment, in no order: transaction_id, ord, and the features in the file's order:";
    lines.push(given.to_owned());
    lines.extend(script.given(definitions, vocabulary));
    lines.extend(
        [
            "",
            "A window is (t - delay - window, t - delay]; of the payments of one time it counts those of smaller ord.",
            "Counts and sums are what came into it so far less what left it. What frames cannot count is a total of",
            "steps: +1 where something comes into the window, -1 where it leaves it.",
            "Sums are exact in 128 bits, and whole ones wrap at 64 as the live service's do; a real is one division.",
        ]
        .map(str::to_owned),
    );
    // A name may hold a line break, and a comment must not.
    let on_one_line = |line: String| line.replace(|c: char| c.is_control(), " ");
    let commented =
        lines.into_iter().map(|line| format!("-- {}", on_one_line(line)).trim_end().to_owned() + "\n");
    commented.collect()
}
