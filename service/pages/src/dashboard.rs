//! The queue in numbers.

use maud::{Markup, html};
use queue::{AnalystFigures, Dashboard};

use crate::shell::{Here, Page, document};
use crate::view::DashboardView;
use crate::{money, time};

const HOUR_MS: f64 = 3_600_000.0;

/// The page.
pub fn dashboard(view: &DashboardView) -> String {
    let (board, now_ms) = (&view.board, view.shell.now_ms);
    let main = html! {
        main #main.dashboard {
            div.head { h1 { "Numbers" } p.soft { "verdicts of the last " (time::span(now_ms - board.since_ms)) } }
            (figures(board, now_ms))
            div.pair {
                section.panel.analysts { h2 { "Analysts" } (analysts(board, now_ms)) }
                div.stack {
                    (sums("Money at risk", "expected loss of the open alerts", &board.at_risk))
                    (sums("Money saved", "confirmed fraud whose payments were held or declined", &board.saved))
                    @if view.shell.person.may.chargebacks { (chargebacks()) }
                }
            }
        }
    };
    document(&view.shell, &Page { here: Here::Dashboard, title: "Numbers", searched: "", main })
}

fn figures(board: &Dashboard, now_ms: i64) -> Markup {
    let figure = |name: &str, value: i64, address: &str| {
        html! { div { dt { (name) } dd { a href=(address) { (money::grouped(value.unsigned_abs())) } } } }
    };
    html! {
        dl.figures {
            (figure("Open", board.open, "/queue"))
            (figure("Late", board.late, "/queue?which=late"))
            (figure("Held", board.held, "/queue"))
            (figure("Escalated", board.escalated, "/queue?which=escalated"))
            (figure("Snoozed", board.snoozed, "/queue?which=snoozed"))
            (figure("For a second person", board.proposed, "/queue?which=proposed"))
            div {
                dt { "Oldest" }
                dd { @match board.oldest_ms { Some(at_ms) => (time::age(at_ms, now_ms)), None => "–" } }
            }
        }
    }
}

fn analysts(board: &Dashboard, now_ms: i64) -> Markup {
    let hours = ((now_ms - board.since_ms) as f64 / HOUR_MS).max(1.0 / 60.0);
    html! {
        @if board.analysts.is_empty() { p.soft { "Nobody has decided anything in this time." } }
        @else {
            div.scroll tabindex="0" role="group" aria-label="Analysts" {
                table.plain-table {
                    caption.quiet { "Verdicts by analyst" }
                    thead { tr {
                        th scope="col" { "Name" }
                        th.number scope="col" { "Decided" }
                        th.number scope="col" { "An hour" }
                        th.number scope="col" { "Fraud" }
                        th.number scope="col" { "Legitimate" }
                        th.number scope="col" { "Share confirmed" }
                    } }
                    tbody { @for one in &board.analysts { (analyst(one, hours)) } }
                }
            }
        }
    }
}

fn analyst(one: &AnalystFigures, hours: f64) -> Markup {
    let share = if one.resolved > 0 { 100.0 * one.fraud as f64 / one.resolved as f64 } else { 0.0 };
    html! {
        tr {
            th scope="row" { bdi { (one.name) } }
            td.number { (one.resolved) }
            td.number { (format!("{:.1}", one.resolved as f64 / hours)) }
            td.number { (one.fraud) }
            td.number { (one.legitimate) }
            td.number { (format!("{share:.0} %")) }
        }
    }
}

fn sums(title: &str, what: &str, sums: &[(String, i64)]) -> Markup {
    html! {
        section.panel.sums {
            div.panel-head { h2 { (title) } p { (what) } }
            @if sums.is_empty() { p.soft { "None." } }
            ul { @for (currency, minor) in sums { li { (money::money(*minor, currency)) } } }
        }
    }
}

fn chargebacks() -> Markup {
    html! {
        section.panel {
            div.panel-head { h2 { "Chargebacks" } p { "a CSV file labels its payments fraud" } }
            form #chargebacks {
                p.field { label for="chargeback-file" { "File" } input #chargeback-file type="file" accept=".csv,text/csv" required; }
                p.buttons { button type="submit" { "Hand in" } }
            }
            div #chargebacks-told role="status" {}
        }
    }
}
