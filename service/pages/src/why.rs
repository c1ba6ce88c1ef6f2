//! Why an alert is there: the reasons of its weightiest payment, each with the value and what is usual.

use maud::{Markup, html};
use queue::alert::{Alert, Hit};
use schemas::reason::{Reason, ReasonSource};

use crate::time;

/// The hit whose reasons are shown: the one with the highest expected loss, the newest of equals.
pub(crate) fn weightiest(hits: &[Hit]) -> Option<&Hit> {
    hits.iter().rev().max_by_key(|hit| hit.expected_loss_minor)
}

/// The reasons, weightiest first.
pub(crate) fn why(alert: &Alert, hits: &[Hit]) -> Markup {
    let hit = weightiest(hits);
    let reasons = hit.map(|hit| hit.reasons.as_slice()).unwrap_or_default();
    let heaviest = reasons.iter().filter_map(|one| one.contribution).fold(0.0, f64::max);
    html! {
        section.panel.why {
            div.panel-head {
                h2 { "Why it is here" }
                p {
                    "rule " (alert.rule)
                    @if let Some(hit) = hit {
                        " · " @if hits.len() > 1 { "payment of " (time::moment(hit.event_ms)) " · " }
                        @if let Some(model) = &hit.model { "model " (model) " · " } "policy " (hit.policy)
                    }
                }
            }
            @if reasons.is_empty() { p.soft { "No reason was recorded for it." } }
            ol.reasons { @for reason in reasons { (line(reason, heaviest)) } }
        }
    }
}

fn line(reason: &Reason, heaviest: f64) -> Markup {
    let text = if reason.text.is_empty() { &*reason.code } else { reason.text.as_str() };
    html! {
        li {
            p.reason-text { bdi { (text) } }
            p.reason-value {
                @if let Some(value) = reason.value { strong { (number(value)) } }
                @if let Some(norm) = reason.norm { span.soft { " usually " (number(norm)) } }
            }
            p.reason-weight { (weight(reason, heaviest)) }
        }
    }
}

/// What it added to the score, or which part of the policy spoke.
fn weight(reason: &Reason, heaviest: f64) -> Markup {
    html! {
        @match (reason.source, reason.contribution) {
            (ReasonSource::Model, Some(share)) if heaviest > 0.0 => {
                svg.bar viewBox="0 0 48 6" width="48" height="6" role="img" {
                    title { "weight " (format!("{share:+.2}")) " of the raw score" }
                    rect.bar-back width="48" height="6" rx="3" {}
                    rect.bar-fill width=(format!("{:.1}", 48.0 * (share / heaviest).clamp(0.0, 1.0))) height="6" rx="3" {}
                }
            }
            (ReasonSource::Model, _) => span.soft { "model" }
            (ReasonSource::Rule, _) => span.chip { "rule" }
            (ReasonSource::List, _) => span.chip { "list" }
        }
    }
}

/// A number with as many digits as a person needs.
pub(crate) fn number(value: f64) -> String {
    let size = value.abs();
    if value.fract() == 0.0 && size < 1e15 {
        let sign = if value < 0.0 { "−" } else { "" };
        return format!("{sign}{}", crate::money::grouped(size as u64));
    }
    match size {
        _ if size >= 100.0 => format!("{value:.0}"),
        _ if size >= 1.0 => format!("{value:.1}"),
        _ if size >= 0.01 => format!("{value:.2}"),
        _ => format!("{value:.1e}"),
    }
}
