//! Verdicts against labels: what was stopped and what was let through, by what it turned out to be.

use maud::{Markup, html};

use super::grid::{legend, strip};
use super::number;
use super::paint::{APPROVE, DECLINE, OTHERS};
use crate::numbers::{Confusion, Money};

const APPROVED: &str = "approve";

/// The table with its bars, and two sentences about it.
pub(super) fn panel(confusion: &[Confusion]) -> Markup {
    html! {
        section.panel #confusion aria-labelledby="confusion-head" {
            div.panel-head { h2 #confusion-head { "Verdicts and labels" } p { "What payments turned out to be, where a label is known." } }
            @if confusion.is_empty() {
                p.nothing { "No decision was looked at." }
            } @else {
                (sentences(confusion))
                (legend([("fraud", DECLINE), ("legitimate", APPROVE), ("no label", OTHERS)].into_iter()))
                (table(confusion))
            }
        }
    }
}

fn sentences(confusion: &[Confusion]) -> Markup {
    let sum = |of: fn(&Confusion) -> &Money, approved: Option<bool>| {
        let rows = confusion
            .iter()
            .filter(|row| approved.is_none_or(|approved| (row.verdict == APPROVED) == approved));
        rows.fold(0_u64, |sum, row| sum.saturating_add(of(row).count))
    };
    let (frauds, caught) = (sum(|row| &row.fraud, None), sum(|row| &row.fraud, Some(false)));
    let (good, stopped) = (sum(|row| &row.legitimate, None), sum(|row| &row.legitimate, Some(false)));
    html! {
        p {
            "Not approved: "
            @if frauds > 0 {
                b { (number::percent(number::share(caught, frauds))) } " of known fraud ("
                (number::grouped(caught)) " of " (number::grouped(frauds)) ")"
            } @else { "no fraud is known" }
            " and "
            @if good > 0 {
                b { (number::percent(number::share(stopped, good))) } " of payments known to be legitimate ("
                (number::grouped(stopped)) " of " (number::grouped(good)) ")."
            } @else { "no payment is known to be legitimate." }
            @if caught + stopped > 0 {
                " Of what was not approved and has a label, " b { (number::percent(number::share(caught, caught + stopped))) } " was fraud."
            }
        }
    }
}

fn table(confusion: &[Confusion]) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label="Table of verdicts and labels" {
            table.barred {
                thead {
                    tr {
                        th scope="col" { "Verdict" }
                        th scope="col" { "Shares" }
                        th.number scope="col" { "Fraud" }
                        th.number scope="col" { "Legitimate" }
                        th.number scope="col" { "No label" }
                    }
                }
                tbody { @for row in confusion { (one(row)) } }
            }
        }
    }
}

fn one(row: &Confusion) -> Markup {
    let parts = [(row.fraud.count, DECLINE), (row.legitimate.count, APPROVE), (row.unknown.count, OTHERS)];
    let all = parts.iter().fold(0_u64, |sum, (count, _)| sum.saturating_add(*count));
    html! {
        tr {
            th scope="row" { span.badge data-tone=[tone(&row.verdict)] { (number::spoken(&row.verdict)) } }
            td.strip-cell { (strip(&parts, all)) }
            @for money in [&row.fraud, &row.legitimate, &row.unknown] {
                td.number {
                    b { (number::count(money.count)) }
                    @if !money.amount_minor.is_empty() { (number::money(money)) }
                }
            }
        }
    }
}

/// The verdicts that have a colour.
fn tone(verdict: &str) -> Option<&str> {
    ["approve", "review", "challenge", "decline"].into_iter().find(|known| *known == verdict)
}
