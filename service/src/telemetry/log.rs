//! The log: to stderr, for people or one JSON object a line. Reports and data go to stdout, never here.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::config::LogFormat;

/// The crates whose log is ours.
const OURS: [&str; 4] = ["tripline", "feature_store", "models", "schemas"];

/// A log that cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// Not a level.
    #[error("log.level: {0:?} is not one of error, warn, info, debug, trace")]
    Level(String),
    /// The process has a log already.
    #[error("the log was started before")]
    Started,
}

/// Starts the process's log. `level` is for our own crates; of the libraries only warnings are heard, and at `trace`
/// what they say at `debug`.
///
/// # Errors
/// An unknown level, or a second start.
pub fn start(format: LogFormat, level: &str) -> Result<(), LogError> {
    let filter = filter(level)?;
    let ansi = std::io::stderr().is_terminal();
    let subscriber = subscriber(format, filter, ansi, std::io::stderr);
    tracing::subscriber::set_global_default(subscriber).map_err(|_| LogError::Started)
}

fn filter(level: &str) -> Result<EnvFilter, LogError> {
    let others = match level {
        "error" => "error",
        "warn" | "info" | "debug" => "warn",
        "trace" => "debug",
        _ => return Err(LogError::Level(level.to_owned())),
    };
    let ours = OURS.map(|name| format!("{name}={level}")).join(",");
    EnvFilter::try_new(format!("{others},{ours}")).map_err(|_| LogError::Level(level.to_owned()))
}

fn subscriber<W>(
    format: LogFormat,
    filter: EnvFilter,
    ansi: bool,
    writer: W,
) -> Box<dyn tracing::Subscriber + Send + Sync>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let fmt = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer);
    match format {
        LogFormat::Human => Box::new(fmt.with_ansi(ansi).with_target(false).finish()),
        LogFormat::Json => Box::new(fmt.json().flatten_event(true).with_current_span(false).finish()),
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Paper(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Paper {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn written(format: LogFormat, level: &str) -> String {
        let paper = Paper::default();
        let writer = paper.clone();
        let subscriber = subscriber(format, filter(level).unwrap(), false, move || writer.clone());
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(partition = 3, "line started");
            tracing::info!(target: "hyper", "chatter");
            tracing::warn!(target: "rdkafka", "a broker is gone");
        });
        let bytes = paper.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn json_is_one_object_a_line_and_libraries_only_warn() {
        let text = written(LogFormat::Json, "info");
        let lines: Vec<serde_json::Value> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 2, "{text}");
        assert_eq!(lines[0]["message"], "line started");
        assert_eq!(lines[0]["partition"], 3);
        assert_eq!(lines[1]["message"], "a broker is gone");
    }

    #[test]
    fn human_lines_and_levels() {
        assert!(written(LogFormat::Human, "info").contains("line started partition=3"));
        assert!(!written(LogFormat::Human, "warn").contains("line started"));
        assert!(matches!(filter("loud"), Err(LogError::Level(level)) if level == "loud"));
        assert!(matches!(filter("info,hyper=trace"), Err(LogError::Level(_))));
    }
}
