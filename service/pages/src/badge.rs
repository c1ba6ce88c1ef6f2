//! Small things that stand for a word of the queue: decision, label, state. Each has a word and a shape besides its
//! colour, since not everybody sees the colour.

use maud::{Markup, html};
use queue::alert::{Alert, Disposition, KnownLabel, State};
use schemas::decision::Verdict;

use crate::time;

/// What was decided. The shapes are those of the timeline.
pub(crate) fn verdict(verdict: Verdict, hold: bool) -> Markup {
    html! {
        span.badge data-verdict=(verdict.as_str()) {
            span.shape aria-hidden="true" { (shape(verdict)) } (verdict.as_str())
            @if hold { " · on hold" }
        }
    }
}

pub(crate) const fn shape(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Approve => "●",
        Verdict::Review => "◆",
        Verdict::Challenge => "▲",
        Verdict::Decline => "■",
    }
}

/// What a payment turned out to be.
pub(crate) fn label(label: Option<&KnownLabel>) -> Markup {
    html! {
        @match label {
            Some(label) => {
                span.label data-fraud=(label.fraud) title={ "says " (label.source) ", " (time::utc(label.label_ms)) } {
                    @if label.fraud { "✕ fraud" } @else { "✓ legitimate" }
                }
            }
            None => span.soft { "none yet" }
        }
    }
}

/// A score from 0 to 1, with a bar beside it.
pub(crate) fn score(score: Option<f64>) -> Markup {
    html! {
        @match score.filter(|score| score.is_finite()) {
            Some(score) => {
                span.score {
                    span.score-number { (score_text(score)) }
                    svg.bar aria-hidden="true" viewBox="0 0 48 6" width="48" height="6" {
                        rect.bar-back width="48" height="6" rx="3" {}
                        rect.bar-fill width=(format!("{:.1}", 48.0 * score.clamp(0.0, 1.0))) height="6" rx="3" {}
                    }
                }
            }
            None => span.soft { "no score" }
        }
    }
}

/// Two decimals, three for what would be nought with two.
pub(crate) fn score_text(score: f64) -> String {
    if score > 0.0 && score < 0.01 { format!("{score:.3}") } else { format!("{score:.2}") }
}

/// What a disposition is called.
pub(crate) const fn disposition(disposition: Disposition) -> &'static str {
    match disposition {
        Disposition::Fraud => "Fraud",
        Disposition::Suspected => "Suspected",
        Disposition::Legitimate => "Legitimate",
        Disposition::Insufficient => "Not enough information",
    }
}

/// The text of a reason's word; the word itself where it has none (any more).
pub(crate) fn reason(disposition: Option<Disposition>, word: &str) -> &str {
    let reasons = disposition.map(Disposition::reasons).unwrap_or_default();
    reasons.iter().find(|(one, _)| *one == word).map_or(word, |(_, text)| text)
}

/// Where an alert stands, as chips.
pub(crate) fn state(alert: &Alert, now_ms: i64) -> Markup {
    html! {
        @match alert.state {
            State::Open => {}
            State::Snoozed => span.chip {
                "snoozed"
                @if let Some(until_ms) = alert.snoozed_until_ms { ", back " (time::relative(until_ms, now_ms)) }
            }
            State::Proposed => span.chip data-tone="review" {
                (alert.disposition.map_or("verdict", disposition)) ", waits for a second person"
            }
            State::Resolved => span.chip {
                "resolved" @if let Some(said) = alert.disposition { ": " (disposition(said)) }
            }
        }
        @if alert.escalated { span.chip data-tone="challenge" { "escalated" } }
        @if alert.hold && alert.state != State::Resolved { span.chip data-tone="decline" { "payment on hold" } }
        @if let Some(assignee) = &alert.assignee { span.chip { "for " bdi { (assignee) } } }
    }
}

/// Who holds it, if somebody does.
pub(crate) fn holder(alert: &Alert, now_ms: i64) -> Option<(&str, i64)> {
    let until_ms = alert.lease_until_ms.filter(|until_ms| *until_ms > now_ms)?;
    Some((alert.holder.as_deref()?, until_ms))
}
