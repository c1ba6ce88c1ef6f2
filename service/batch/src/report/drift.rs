//! Drift of the score and the features: the population stability index, and the bins it comes from.

use std::cmp::Ordering;

use maud::{Markup, html};

use super::grid::{legend, swatch};
use super::number;
use super::paint::{APPROVE, DECLINE, LINE, OTHERS, Paint, REVIEW};
use crate::drift::{FLOOR, MUCH, SOME};
use crate::numbers::{Drift, Reference};

/// A bar of the index ends here.
const FULL: f64 = 0.5;

/// The table and the bins, the score first, then by drift.
pub(super) fn panel(drift: &[Drift], reference: &Reference) -> Markup {
    let mut sorted: Vec<&Drift> = drift.iter().collect();
    sorted.sort_by(|left, right| {
        let (first, second) = (left.name != "score", right.name != "score");
        let by_psi = right.psi.partial_cmp(&left.psi).unwrap_or(Ordering::Equal);
        first.cmp(&second).then(by_psi).then_with(|| left.name.cmp(&right.name))
    });
    html! {
        section.panel #drift aria-labelledby="drift-head" {
            div.panel-head {
                h2 #drift-head { "Drift" }
                p { "Population stability index against the training reference: below 0.1 little, from 0.25 on much." }
            }
            @if let Some(why) = &reference.missing {
                p.nothing { "Not measured: " (why) "." }
            } @else if sorted.is_empty() {
                p.nothing { "Not measured: no payment was decided in these days." }
            } @else {
                (terms(reference))
                (table(&sorted))
                h3.bins-head { "Bins" }
                (legend([("training reference", OTHERS), ("these days", LINE)].into_iter()))
                div.bins { @for (place, one) in sorted.iter().enumerate() { (bins(place, one)) } }
            }
        }
    }
}

/// What was set beside what, and by which rules.
fn terms(reference: &Reference) -> Markup {
    html! {
        p.soft {
            (number::grouped(reference.looked_at))
            @if reference.looked_at < reference.rows { " of the " (number::grouped(reference.rows)) }
            " vectors of the training export, as decisions saw them, beside those of these days; scores are those of the same model "
            "over both, of " (number::grouped(reference.scored)) " vectors of the export. Bins are the reference's deciles or its few "
            "values, and a share below " (number::percent(FLOOR))
            " is taken as that. 0.1 and 0.25 are rules of thumb of credit scoring (Lewis 1994; Siddiqi 2006), not tests: what chance "
            "alone gives for so few or so many payments stands beside each index."
        }
    }
}

/// How much, in a word, and its colour and tone.
fn weight(psi: f64) -> (&'static str, Paint, &'static str) {
    match psi {
        psi if psi >= MUCH || psi.is_nan() => {
            (if psi.is_nan() { "unknown" } else { "much" }, DECLINE, "decline")
        }
        psi if psi >= SOME => ("some", REVIEW, "review"),
        _ => ("little", APPROVE, "approve"),
    }
}

fn table(drift: &[&Drift]) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label="Table of drift" {
            table.barred {
                thead {
                    tr {
                        th scope="col" { "Score or feature" }
                        th scope="col" { "Index, with marks at 0.1 and 0.25" }
                        th.number scope="col" { "PSI" }
                        th.number scope="col" { "By chance" }
                        th.number scope="col" { "Payments" }
                        th scope="col" { "Drift" }
                    }
                }
                tbody {
                    @for one in drift {
                        @let (word, paint, tone) = weight(one.psi);
                        tr {
                            th.value scope="row" { code { (one.name) } @if let Some(model) = &one.model { " " small.soft { (model) } } }
                            td.strip-cell { (index(one.psi, paint)) }
                            td.number { (number::decimal(one.psi, 3)) }
                            td.number.soft { (number::decimal(one.by_chance, 3)) }
                            td.number { (number::count(one.rows)) }
                            td { span.badge data-tone=(tone) { (word) } }
                        }
                    }
                }
            }
        }
    }
}

/// The index as a bar, with lines where little ends and much begins.
fn index(psi: f64, paint: Paint) -> Markup {
    let at = |psi: f64| 400.0 * (psi / FULL).clamp(0.0, 1.0);
    html! {
        svg.strip viewBox="0 0 404 10" preserveAspectRatio="none" aria-hidden="true" {
            @if !psi.is_nan() { rect width=(format!("{:.1}", at(psi).max(1.0))) height="10" fill=(paint.hex()) {} }
            @for line in [SOME, MUCH] {
                rect.mark x=(format!("{:.1}", at(line))) width="1.5" height="10" {}
            }
        }
    }
}

/// Shares by bin: the reference's beside today's.
fn bins(place: usize, drift: &Drift) -> Markup {
    let (title, description) = (format!("bins-{place}-title"), format!("bins-{place}-description"));
    let (word, _, _) = weight(drift.psi);
    let ends = drift.bins.first().zip(drift.bins.last());
    html! {
        figure {
            figcaption {
                h3 { (swatch(weight(drift.psi).1)) " " code { (drift.name) } @if let Some(model) = &drift.model { " " small.soft { (model) } } }
                span.soft { "PSI " (number::decimal(drift.psi, 3)) }
            }
            svg role="img" viewBox="0 0 240 70" preserveAspectRatio="none" aria-labelledby=(title) aria-describedby=(description) {
                title id=(title) { "Bins of " (drift.name) }
                desc id=(description) {
                    "Bars in pairs, one for each of " (drift.bins.len()) " bins: the share in the training reference and the share now. "
                    "Drift: " (word) "."
                }
                (bars(&drift.bins))
            }
            @if let Some(((first, _, _), (last, _, _))) = ends {
                div.axis aria-hidden="true" { span { (first) } @if drift.bins.len() > 1 { span { (last) } } }
                details { summary { "Table" } (bin_table(drift)) }
            } @else { p.nothing { "No bins." } }
        }
    }
}

fn bars(bins: &[(String, f64, f64)]) -> Markup {
    const HEIGHT: f64 = 68.0;
    let sound = |share: f64| if share.is_finite() { share.clamp(0.0, 1.0) } else { 0.0 };
    let most = bins.iter().map(|(_, before, now)| sound(*before).max(sound(*now))).fold(1e-9, f64::max);
    let room = 240.0 / f64::from(u32::try_from(bins.len().max(1)).unwrap_or(u32::MAX));
    let bar = |from: f64, share: f64, paint: Paint| {
        let high = HEIGHT * sound(share) / most;
        html! {
            rect x=(format!("{from:.2}")) y=(format!("{:.2}", HEIGHT - high)) width=(format!("{:.2}", room * 0.4))
                height=(format!("{high:.2}")) fill=(paint.hex()) {}
        }
    };
    html! {
        @for (place, (_, before, now)) in (0_u32..).zip(bins) {
            @let from = room * (f64::from(place) + 0.1);
            (bar(from, *before, OTHERS)) (bar(from + room * 0.4, *now, LINE))
        }
        rect.ground y="68.5" width="240" height="1" {}
    }
}

fn bin_table(drift: &Drift) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label={ "Bins of " (drift.name) } {
            table {
                thead {
                    tr { th scope="col" { "Bin" } th.number scope="col" { "Reference" } th.number scope="col" { "Now" } }
                }
                tbody {
                    @for (bin, before, now) in &drift.bins {
                        tr {
                            th.value scope="row" { (bin) }
                            td.number { (number::percent(*before)) }
                            td.number { (number::percent(*now)) }
                        }
                    }
                }
            }
        }
    }
}
