//! Where DuckDB and Spark differ: quotes, texts, wide integers, division. All else is written the same for both.

use feature_store::definition::Constant;

/// Who is to run the statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// DuckDB; seen equal with 1.1.3 and 2.0.1.
    DuckDb,
    /// Spark SQL; seen equal with 4.3.0.
    Spark,
}

impl Dialect {
    pub(super) fn name(self) -> &'static str {
        match self {
            Dialect::DuckDb => "DuckDB",
            Dialect::Spark => "Spark SQL",
        }
    }

    /// A name as an identifier.
    pub(super) fn quoted(self, name: &str) -> String {
        match self {
            Dialect::DuckDb => format!("\"{}\"", name.replace('"', "\"\"")),
            Dialect::Spark => format!("`{}`", name.replace('`', "``")),
        }
    }

    pub(super) fn constant(self, constant: &Constant) -> String {
        match constant {
            Constant::Int(value) => value.to_string(),
            Constant::Flag(value) => value.to_string().to_uppercase(),
            Constant::Text(text) => self.text(text),
        }
    }

    /// A text. What a quote and a backslash mean in one depends on Spark's version and settings, `${` is replaced
    /// there, and a control character is unreadable anyway: such texts are written as their bytes.
    fn text(self, text: &str) -> String {
        if !text.contains(|c: char| c.is_control() || matches!(c, '\'' | '\\' | '$')) {
            return format!("'{text}'");
        }
        let bytes: String = text.bytes().map(|byte| format!("{byte:02X}")).collect();
        match self {
            Dialect::DuckDb => format!("decode(unhex('{bytes}'))"),
            Dialect::Spark => format!("CAST(X'{bytes}' AS STRING)"),
        }
    }

    /// A 64-bit integer as one whose sum cannot overflow.
    pub(super) fn wide(self, number: &str) -> String {
        match self {
            Dialect::DuckDb => format!("CAST({number} AS HUGEINT)"),
            // Of 19 digits, so that Spark gives the sum 29.
            Dialect::Spark => format!("CAST({number} AS DECIMAL(19, 0))"),
        }
    }

    /// A wide integer as the nearest real. DuckDB before 2.0 adds the halves of one as two reals, which rounds twice:
    /// one bit off in 8 of 100 at the worst.
    pub(super) fn real(self, wide: &str) -> String {
        match self {
            Dialect::DuckDb => format!(
                "COALESCE(CAST(TRY_CAST({wide} AS BIGINT) AS DOUBLE), CAST(CAST({wide} AS VARCHAR) AS DOUBLE))"
            ),
            Dialect::Spark => format!("CAST({wide} AS DOUBLE)"),
        }
    }

    /// A wide integer's lowest 64 bits.
    pub(super) fn wrapped(self, wide: &str) -> String {
        let (half, whole) = (1_u128 << 63, 1_u128 << 64);
        format!("CAST((({wide} + {half}) % {whole} + {whole}) % {whole} - {half} AS BIGINT)")
    }

    /// The whole part of a quotient.
    pub(super) fn quotient(self, number: &str, by: i64) -> String {
        match self {
            Dialect::DuckDb => format!("{number} // {by}"),
            Dialect::Spark => format!("{number} DIV {by}"),
        }
    }
}
