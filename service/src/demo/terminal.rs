//! What the demo says in the terminal: a line for each alert.

use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use schemas::alert::Alert;
use schemas::decision::{Decision, Verdict};

use crate::stream::line::Watch;

/// Prints what an analyst would want to see.
pub struct Terminal {
    /// Set when history is over.
    pub live: Arc<AtomicBool>,
    colours: bool,
}

impl Terminal {
    /// A terminal that is silent until `live` is set.
    pub fn new(live: Arc<AtomicBool>) -> Self {
        Self { live, colours: std::io::stdout().is_terminal() }
    }
}

impl Watch for Terminal {
    fn decided(&mut self, decision: &Decision, alert: Option<&Alert>) {
        if alert.is_none() || !self.live.load(Ordering::Relaxed) {
            return;
        }
        let line = line(decision, self.colours);
        // A closed terminal ends the demo by its signal, not here.
        let _ = writeln!(std::io::stdout(), "{line}");
    }
}

fn line(decision: &Decision, colours: bool) -> String {
    let (colour, plain) = match (colours, decision.verdict) {
        (false, _) => ("", ""),
        (true, Verdict::Decline) => ("\x1b[31m", "\x1b[0m"),
        (true, Verdict::Challenge) => ("\x1b[35m", "\x1b[0m"),
        (true, _) => ("\x1b[33m", "\x1b[0m"),
    };
    let card = decision.entities.first().map_or("", |entity| entity.key.as_str());
    let why: Vec<_> = decision.reasons.iter().skip(1).take(2).map(|reason| reason.text.as_str()).collect();
    let (verdict, minor) = (decision.verdict.as_str(), decision.amount.minor());
    let amount = format!("{}.{:02} {}", minor / 100, minor % 100, decision.currency.as_str());
    let score = decision.score.map_or_else(|| "  - ".to_owned(), |score| format!("{score:.2}"));
    let time = decision.event_time.to_string();
    let time = time.get(..16).unwrap_or(&time).replace('T', " ");
    format!("{time}  {colour}{verdict:<9}{plain} {score}  {amount:>13}  {card:<21}  {}", why.join("; "))
}
