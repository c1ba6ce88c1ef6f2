//! Where the records of each partition went: none may be lost.

use maud::{Markup, html};

use super::number;
use crate::numbers::Conservation;

/// The table of partitions.
pub(super) fn panel(partitions: &[Conservation]) -> Markup {
    html! {
        section.panel #conservation aria-labelledby="conservation-head" {
            div.panel-head {
                h2 #conservation-head { "Conservation" }
                p { "Each record of the payments topic is decided, a dead letter or a repetition." }
            }
            @if partitions.is_empty() {
                p.nothing { "No partition was looked at." }
            } @else {
                (table(partitions))
            }
        }
    }
}

fn table(partitions: &[Conservation]) -> Markup {
    let sum = |of: fn(&Conservation) -> u64| partitions.iter().map(of).fold(0_u64, u64::saturating_add);
    let unaccounted = sum(|one| one.unaccounted);
    html! {
        div.scroll tabindex="0" role="region" aria-label="Table of partitions" {
            table {
                thead {
                    tr {
                        th scope="col" { "Partition" }
                        th.number scope="col" { "Records" }
                        th.number scope="col" { "Decided" }
                        th.number scope="col" { "Dead letters" }
                        th.number scope="col" { "Repetitions" }
                        th.number scope="col" { "Unaccounted for" }
                    }
                }
                tbody {
                    @for one in partitions {
                        tr data-tone=[(one.unaccounted > 0).then_some("decline")] {
                            th scope="row" { (one.partition) }
                            (cells([one.records, one.decided, one.dead, one.duplicates], one.unaccounted))
                        }
                    }
                }
                @if partitions.len() > 1 {
                    tfoot {
                        tr data-tone=[(unaccounted > 0).then_some("decline")] {
                            th scope="row" { "All" }
                            (cells([sum(|one| one.records), sum(|one| one.decided), sum(|one| one.dead), sum(|one| one.duplicates)], unaccounted))
                        }
                    }
                }
            }
        }
    }
}

fn cells(counts: [u64; 4], unaccounted: u64) -> Markup {
    html! {
        @for count in counts { td.number { (number::count(count)) } }
        td.number.hot { (number::count(unaccounted)) }
    }
}
