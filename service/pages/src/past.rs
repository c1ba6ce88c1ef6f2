//! An entity's payments: those of the alert beside the ones before, each with the score that it had then.

use maud::{Markup, html};

use crate::view::{Party, Past};
use crate::{badge, mask, money, time};

/// The table of payments.
pub(crate) fn table(past: &[Past]) -> Markup {
    html! {
        div.scroll tabindex="0" role="group" aria-label="Payments" {
            table.past {
                caption.quiet { "Payments, the newest first" }
                thead {
                    tr {
                        th scope="col" { "When (UTC)" }
                        th.number scope="col" { "Amount" }
                        th scope="col" { "Decision then" }
                        th.number scope="col" { "Score then" }
                        th scope="col" { "Label since" }
                        th scope="col" { "With" }
                    }
                }
                tbody { @for one in past { (row(one)) } }
            }
        }
    }
}

fn row(one: &Past) -> Markup {
    html! {
        tr.hit[one.is_hit] title={ "payment " (one.transaction_id) ", decision " (one.decision_id) } {
            th scope="row" { (time::moment(one.event_ms)) @if one.is_hit { span.quiet { " of this alert" } } }
            td.number { (money::money(one.amount_minor, &one.currency)) }
            td { (badge::verdict(one.verdict, one.hold)) }
            td.number { @match one.score { Some(score) => (badge::score_text(score)), None => span.soft { "none" } } }
            td { (badge::label(one.label.as_ref())) }
            td.parties { @for party in &one.parties { (self::party(party)) " " } }
        }
    }
}

fn party(party: &Party) -> Markup {
    html! {
        span.party { span.soft { (party.entity) " " } (mask::key(&party.shown)) @if party.is_new { " " span.new { "new" } } }
    }
}
