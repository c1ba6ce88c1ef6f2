//! What was compared with what, and how it came out.

use maud::{Markup, html};

use super::number;
use crate::numbers::Check;

/// A check's word, its name, and what it compares.
const CHECKS: [(&str, &str, &str); 8] = [
    (
        "features_as_of_log",
        "Features as of the log",
        "Each feature with the events that were there when the service answered: must be equal.",
    ),
    (
        "features_by_event_time",
        "Features by event time",
        "Each feature as it should have been with nothing late, twice or early.",
    ),
    ("scores", "Scores", "The same vector through the same model: the same bits."),
    ("decisions", "Decisions", "The same score and features through the same version of the policy."),
    ("alerts", "Alerts", "An alert for each decision that asks for one, and none besides."),
    (
        "conservation",
        "Conservation",
        "Each record of the payments topic is decided, refused or a repetition.",
    ),
    ("rest", "REST against topic", "The same payment answered both ways has the same answer."),
    (
        "versions",
        "Versions",
        "The versions that decisions recorded are those of payments and labels in the archive.",
    ),
];

/// The table of checks.
pub(super) fn panel(checks: &[Check]) -> Markup {
    html! {
        section.panel #checks aria-labelledby="checks-head" {
            div.panel-head { h2 #checks-head { "Checks" } p { "What was compared, and what differed." } }
            @if checks.is_empty() { p.nothing { "No check was run." } } @else { (table(checks)) }
        }
    }
}

fn table(checks: &[Check]) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label="Table of checks" {
            table {
                thead {
                    tr {
                        th scope="col" { "Check" }
                        th scope="col" { "Result" }
                        th.number scope="col" { "Compared" }
                        th.number scope="col" { "Differences" }
                        th.number scope="col" { "Unexplained" }
                    }
                }
                tbody { @for check in checks { (row(check)) } }
            }
        }
    }
}

fn row(check: &Check) -> Markup {
    let known = CHECKS.iter().find(|(word, _, _)| *word == check.check);
    let share = number::share(check.differences, check.compared);
    html! {
        tr data-tone=[(check.unexplained > 0).then_some("decline")] {
            th.said-too scope="row" {
                @if let Some((_, name, sentence)) = known { (name) p { (sentence) } } @else { (number::spoken(&check.check)) }
            }
            td { (badge(check)) }
            td.number { (number::count(check.compared)) }
            td.number {
                (number::count(check.differences))
                @if check.differences > 0 { " " small.soft { "(" (number::percent(share)) ")" } }
            }
            td.number.hot { (number::count(check.unexplained)) }
        }
    }
}

fn badge(check: &Check) -> Markup {
    let (tone, word) = match check {
        check if check.unexplained > 0 => (Some("decline"), "✕ unexplained"),
        check if check.compared == 0 => (Some("review"), "– nothing compared"),
        check if check.differences > 0 => (None, "✓ all explained"),
        _ => (Some("approve"), "✓ equal"),
    };
    html! { span.badge data-tone=[tone] { (word) } }
}
