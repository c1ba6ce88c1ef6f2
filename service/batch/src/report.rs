//! The report of a reconciliation: one HTML file that opens anywhere.
//!
//! ```text
//!   Numbers ─► verdict, checks, classes, days, features, labels, drift, latency, conservation ─► one document
//!                                              │
//!                             grid (who is in which class), plot (axes), paint (colours)
//! ```
//! Styles and plots are inside, there is no script, and the document forbids itself to load anything. Whatever comes
//! from data is escaped by the templates or by the plots' backend. Not here: the JSON of the same numbers, which is
//! [`Numbers`] itself, and where the file goes.

mod calibration;
mod checks;
mod classes;
mod confusion;
mod conservation;
mod days;
mod drift;
mod features;
mod grid;
mod latency;
mod number;
mod paint;
mod palette;
mod plot;
mod style;
mod verdict;

use maud::{DOCTYPE, Markup, html};

use crate::numbers::Numbers;
use palette::Palette;

/// The whole document.
pub fn html(numbers: &Numbers) -> String {
    let style = style::sheet();
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="referrer" content="no-referrer";
                meta http-equiv="Content-Security-Policy" content=(style::policy(&style));
                title { "Reconciliation" @if let Some(days) = span(numbers) { " " (days) } " · Tripline" }
                style { (maud::PreEscaped(&style)) }
            }
            body {
                a.skip href="#main" { "Skip to the content" }
                (top(numbers))
                (content(numbers))
                (foot(numbers))
            }
        }
    }
    .into_string()
}

/// What a server must send as `Content-Security-Policy` with the document, if it sends one: the document's own.
pub fn content_security_policy() -> String {
    style::policy(&style::sheet())
}

fn content(numbers: &Numbers) -> Markup {
    let palette = Palette::of(numbers);
    html! {
        main #main tabindex="-1" {
            (verdict::panel(numbers))
            (verdict::figures(numbers))
            (contents())
            (checks::panel(&numbers.checks))
            (classes::panel(&numbers.classes, &palette))
            div.pair {
                (days::differences(numbers, &palette))
                (days::decisions(numbers))
            }
            (features::panel(&numbers.by_feature, &palette))
            (confusion::panel(&numbers.confusion))
            div.pair {
                (calibration::panel(&numbers.calibration))
                (latency::panel(&numbers.latency_us))
            }
            (drift::panel(&numbers.drift, &numbers.reference))
            (conservation::panel(&numbers.conservation))
        }
    }
}

fn top(numbers: &Numbers) -> Markup {
    html! {
        header.top {
            span.brand {
                svg width="26" height="26" viewBox="0 0 32 32" aria-hidden="true" {
                    rect width="32" height="32" rx="8" fill="#3b5bdb" {}
                    path d="M5 18h6l3-9 5 15 3-6h5" fill="none" stroke="#fff" stroke-width="2.6"
                        stroke-linecap="round" stroke-linejoin="round" {}
                }
                "Tripline"
            }
            p { "Reconciliation" @if let Some(days) = span(numbers) { " of " (days) } }
            @if !numbers.run.is_empty() { p.run { "Run " code { (numbers.run) } } }
        }
    }
}

fn contents() -> Markup {
    const PARTS: [(&str, &str); 10] = [
        ("checks", "Checks"),
        ("classes", "Classes"),
        ("by-day", "By day"),
        ("mix", "Decision mix"),
        ("by-feature", "By feature"),
        ("confusion", "Verdicts and labels"),
        ("calibration", "Calibration"),
        ("latency", "Latency"),
        ("drift", "Drift"),
        ("conservation", "Conservation"),
    ];
    html! {
        nav aria-label="Contents" {
            ul.contents { @for (id, word) in PARTS { li { a href={ "#" (id) } { (word) } } } }
        }
    }
}

fn foot(numbers: &Numbers) -> Markup {
    html! {
        footer {
            p {
                "The batch job recomputed features, scores, decisions and alerts from the archived log by an algorithm of "
                "its own and compared them with what was answered live. Days and times are UTC. The same numbers are in the run's JSON."
                @if numbers.run.is_empty() { " This run has no identity." }
            }
        }
    }
}

/// The days that were looked at, in words.
fn span(numbers: &Numbers) -> Option<String> {
    let (first, last) = numbers.days.as_ref()?;
    Some(if first == last { first.clone() } else { format!("{first} to {last}") })
}
