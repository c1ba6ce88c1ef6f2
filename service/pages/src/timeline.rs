//! A drawing of an entity's payments: amounts over time, decisions by colour and shape, marks where something was new.
//!
//! Time is drawn by the logarithm of how long before the newest payment it was: three payments of the last ten minutes
//! can be told apart, and the last weeks are still there. Amounts are drawn by their square roots: a large one does not
//! make the small ones a line on the floor, and nought stays at the floor. The table beside it says the same in words.

use std::fmt::Write;

use maud::{Markup, PreEscaped, html};
use schemas::decision::Verdict;

use crate::view::Past;
use crate::{badge, money, time};

const WIDTH: f64 = 1000.0;
const FLOOR: f64 = 128.0;
const CEILING: f64 = 18.0;
const SIDE: f64 = 14.0;

/// Half of a mark's size.
const HALF: f64 = 5.5;

/// The drawing; nothing without payments.
pub(crate) fn timeline(past: &[Past]) -> Markup {
    let (Some(first), Some(last)) =
        (past.iter().map(|one| one.event_ms).min(), past.iter().map(|one| one.event_ms).max())
    else {
        return html! {};
    };
    let most = past.iter().map(|one| one.amount_minor).max().unwrap_or(0).max(1);
    let scale =
        Scale { last, span: far(last.saturating_sub(first)).max(f64::MIN_POSITIVE), most: most as f64 };
    let currency = past.first().map(|one| one.currency.as_str()).unwrap_or_default();
    html! {
        figure.timeline {
            svg viewBox="0 0 1000 156" role="img" aria-labelledby="timeline-title" {
                title #timeline-title { (said(past, most, currency)) }
                line.axis x1="0" x2="1000" y1=(FLOOR) y2=(FLOOR) {}
                line.grid x1="0" x2="1000" y1=(CEILING) y2=(CEILING) {}
                text.tick x="2" y=(CEILING - 5.0) { (money::text(most, currency)) }
                (scale.ticks())
                @for one in past.iter().rev() { (scale.mark(one)) }
            }
            figcaption {
                span { (time::short(first)) }
                span.legend {
                    @for verdict in Verdict::ALL {
                        span data-verdict=(verdict.as_str()) { span.shape aria-hidden="true" { (badge::shape(verdict)) } " " (verdict.as_str()) }
                    }
                    span { span.ring aria-hidden="true" { "◯" } " labelled fraud" }
                    span { span.new aria-hidden="true" { "▾" } " something new" }
                }
                span { (time::short(last)) }
            }
        }
    }
}

fn said(past: &[Past], most: i64, currency: &str) -> String {
    let fraud = past.iter().filter(|one| one.label.as_ref().is_some_and(|label| label.fraud)).count();
    format!("{} payments, the largest {}, {fraud} labelled fraud", past.len(), money::text(most, currency))
}

/// Times before the newest payment that have a line.
const TICKS: [(i64, &str); 6] = [
    (600_000, "10 min before"),
    (3_600_000, "1 h"),
    (6 * 3_600_000, "6 h"),
    (86_400_000, "1 d"),
    (7 * 86_400_000, "7 d"),
    (30 * 86_400_000, "30 d"),
];

/// The time that is as wide as all that is older by a factor of e.
const NEAR_MS: f64 = 300_000.0;

/// How far to the left something is that was so long ago.
fn far(ms: i64) -> f64 {
    (ms.max(0) as f64 / NEAR_MS).ln_1p()
}

struct Scale {
    last: i64,
    span: f64,
    most: f64,
}

impl Scale {
    fn x(&self, before_ms: i64) -> f64 {
        WIDTH - SIDE - (WIDTH - 2.0 * SIDE) * far(before_ms) / self.span
    }

    fn ticks(&self) -> Markup {
        html! {
            @for (before_ms, word) in TICKS {
                @if far(before_ms) < 0.97 * self.span {
                    @let x = at(self.x(before_ms));
                    line.grid x1=(x) x2=(x) y1=(CEILING) y2=(FLOOR) {}
                    text.tick.time-tick x=(x) y=(FLOOR + 22.0) text-anchor="middle" { (word) }
                }
            }
        }
    }

    fn mark(&self, one: &Past) -> Markup {
        let x = self.x(self.last.saturating_sub(one.event_ms));
        let y = FLOOR - (FLOOR - CEILING) * (one.amount_minor.max(0) as f64 / self.most).sqrt();
        let is_fraud = one.label.as_ref().is_some_and(|label| label.fraud);
        let new: Vec<_> =
            one.parties.iter().filter(|party| party.is_new).map(|party| party.entity.as_str()).collect();
        html! {
            g.mark.hit[one.is_hit] data-verdict=(one.verdict.as_str()) {
                title {
                    (time::utc(one.event_ms)) ", " (money::text(one.amount_minor, &one.currency)) ", " (one.verdict.as_str())
                    @if !new.is_empty() { ", new " (new.join(" and ")) }
                }
                line.stem x1=(at(x)) x2=(at(x)) y1=(at(y)) y2=(FLOOR) {}
                (PreEscaped(shape(one.verdict, x, y)))
                @if is_fraud { circle.fraud-ring cx=(at(x)) cy=(at(y)) r="10" {} }
                @if !new.is_empty() {
                    path.new-mark d=(format!("M{} {}l5 -8h-10z", at(x), at(FLOOR + 12.0))) {}
                }
            }
        }
    }
}

fn at(value: f64) -> String {
    format!("{value:.1}")
}

/// Circle, diamond, triangle, square: as [`badge::shape`]. Numbers only, so that nothing has to be escaped.
fn shape(verdict: Verdict, x: f64, y: f64) -> String {
    let mut path = String::from("<path class=\"dot\" d=\"");
    let h = HALF;
    // Writing to a String does not fail.
    let _ = match verdict {
        Verdict::Approve => {
            write!(path, "M{:.1} {y:.1}a{h} {h} 0 1 0 {} 0a{h} {h} 0 1 0 -{} 0z", x - h, 2.0 * h, 2.0 * h)
        }
        Verdict::Review => {
            write!(path, "M{x:.1} {:.1}l{k} {k}l-{k} {k}l-{k} -{k}z", y - h - 1.0, k = h + 1.0)
        }
        Verdict::Challenge => {
            write!(path, "M{x:.1} {:.1}l{k} {d}h-{d}z", y - k_of(h), k = k_of(h), d = 2.0 * k_of(h))
        }
        Verdict::Decline => write!(path, "M{:.1} {:.1}h{d}v{d}h-{d}z", x - h, y - h, d = 2.0 * h),
    };
    path.push_str("\"/>");
    path
}

/// A triangle looks smaller than a square of its height.
fn k_of(half: f64) -> f64 {
    half + 0.8
}
