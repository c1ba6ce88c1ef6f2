//! The list: tabs, filters, rows, and the bar of the bulk action.

use std::collections::BTreeSet;

use maud::{Markup, html};
use queue::alert::{Alert, State};
use queue::{ListOrder, ListQuery, Which};
use schemas::currency::minor_digits;

use crate::shell::{Here, Page, alert_path, document, part};
use crate::view::{ListView, May, Shell};
use crate::{badge, dialog, mask, money, time};

/// Columns that can be hidden, with their headings.
const COLUMNS: [(&str, &str); 6] = [
    ("why", "Why"),
    ("score", "Score"),
    ("decision", "Decision"),
    ("age", "Age"),
    ("due", "Time left"),
    ("holder", "Held by"),
];

/// Expected losses that can be asked for, whole units of the queue's currency.
const LOSSES: [i64; 5] = [50, 100, 500, 1_000, 5_000];

/// The list's page.
pub fn list(view: &ListView) -> String {
    let main = html! {
        main #main.list data-query=(address(&view.query)) {
            div.head { h1 { "Queue" } @if view.shell.person.may.work { (claim_next()) } }
            (tabs(&view.query))
            (filters(view))
            (table(&rows_of(view), view.shell.person.may))
            p.more {
                @if let Some(next) = &view.page.next { a.button href=(more(&view.query, next)) { "More" } " " }
                @if view.shell.person.may.work {
                    a.plain.button href=(export(&view.query)) download title="What is listed, as CSV: it is written to the audit log" {
                        "Export"
                    }
                }
            }
            @if view.shell.person.may.work { (bulk(view.second_person_bulk)) }
        }
    };
    document(&view.shell, &Page { here: Here::List, title: title(view.query.which), searched: "", main })
}

/// The list's rows alone, `<tbody>`: what the page asks for when something changed.
pub fn rows(view: &ListView) -> String {
    rows_of(view).into_string()
}

/// Alerts that are only looked at, such as those of a search: nothing is selected there.
pub(crate) fn looked_at(alerts: &[Alert], shell: &Shell) -> Markup {
    let may = May { work: false, ..shell.person.may };
    let large = BTreeSet::new();
    table(&html! { tbody { @for alert in alerts { (row(alert, may, shell.now_ms, &large)) } } }, may)
}

fn table(rows: &Markup, may: May) -> Markup {
    html! {
        div.panel.table-panel {
            table.alerts #alerts {
                caption.quiet { "Alerts, the most urgent first" }
                thead {
                    tr {
                        @if may.work { th.select scope="col" { span.quiet { "Selected" } } }
                        th.loss.number scope="col" { "At risk" }
                        th.entity scope="col" { "Entity" }
                        @for (name, heading) in COLUMNS {
                            th.{ (name) } scope="col" { (heading) }
                        }
                    }
                }
                (rows)
            }
        }
    }
}

fn rows_of(view: &ListView) -> Markup {
    let may = view.shell.person.may;
    html! {
        tbody #rows data-now=(view.shell.now_ms) {
            @if view.page.alerts.is_empty() {
                tr.none { td colspan="10" { (nothing(view.query.which)) } }
            }
            @for alert in &view.page.alerts { (row(alert, may, view.shell.now_ms, &view.large)) }
        }
    }
}

/// An alert's row. On a phone it is a card.
fn row(alert: &Alert, may: May, now_ms: i64, large: &BTreeSet<String>) -> Markup {
    let is_done = alert.state == State::Resolved;
    let holder = badge::holder(alert, now_ms);
    html! {
        tr data-alert=(alert.alert_id) data-version=(alert.version) data-loss=(alert.expected_loss_minor)
            data-currency=(alert.currency) data-state=(alert.state.as_str()) data-holder=[holder.map(|(name, _)| name)]
            data-large[large.contains(&alert.alert_id)] {
            @if may.work {
                td.select {
                    input type="checkbox" disabled[alert.state != State::Open]
                        aria-label={ "Select " (alert.entity) " " (mask::masked_key(&alert.key)) };
                }
            }
            td.loss.number {
                strong { (money::money(alert.expected_loss_minor, &alert.currency)) }
                small.soft { "of " (money::amount(alert.amount_minor, &alert.currency)) }
            }
            th.entity scope="row" {
                a href=(alert_path(&alert.alert_id)) { (alert.entity) " " (mask::key(&mask::masked_key(&alert.key))) }
                span.chips {
                    small.soft { (alert.rule) @if alert.hits > 1 { " · " (alert.hits) " payments" } }
                    (badge::state(alert, now_ms))
                }
            }
            td.why title=(alert.why) { bdi { (alert.why) } }
            td.score { (badge::score(alert.score)) }
            td.decision { (badge::verdict(alert.verdict, false)) }
            td.age { span.on-phone { "waits " } (time::age(alert.opened_ms, now_ms)) }
            td.due {
                @if is_done {
                    @if let Some(at_ms) = alert.resolved_ms { "done " (time::relative(at_ms, now_ms)) }
                } @else { span.on-phone { "left " } (time::due(alert.due_ms, now_ms)) }
            }
            td.holder {
                @if let Some(by) = alert.resolved_by.as_ref().filter(|_| is_done) { bdi { (by) } }
                @else if let Some((holder, until_ms)) = holder {
                    span.held { bdi { (holder) } }
                    small.soft { " for " span data-left=(until_ms) { (time::span(until_ms - now_ms)) } }
                }
                @else { span.soft { "nobody" } }
            }
        }
    }
}

fn claim_next() -> Markup {
    html! {
        button.main #claim-next type="button" aria-keyshortcuts="c" { "Claim the next " kbd { "c" } }
    }
}

const fn title(which: Which) -> &'static str {
    match which {
        Which::Open => "Queue",
        Which::Mine => "My alerts",
        Which::Unclaimed => "Unclaimed alerts",
        Which::Late => "Late alerts",
        Which::Escalated => "Escalated alerts",
        Which::Snoozed => "Snoozed alerts",
        Which::Proposed => "For a second person",
        Which::Resolved => "Resolved alerts",
    }
}

const fn tab(which: Which) -> &'static str {
    match which {
        Which::Open => "Open",
        Which::Mine => "Mine",
        Which::Unclaimed => "Unclaimed",
        Which::Late => "Late",
        Which::Escalated => "Escalated",
        Which::Snoozed => "Snoozed",
        Which::Proposed => "Second person",
        Which::Resolved => "Resolved",
    }
}

const fn nothing_text(which: Which) -> (&'static str, &'static str) {
    match which {
        Which::Open | Which::Unclaimed => {
            ("Nothing waits", "Every alert is looked after. New ones appear here by themselves.")
        }
        Which::Mine => ("Nothing of yours", "What you claim stands here."),
        Which::Late => ("Nothing is late", "Everything that waits is within its time."),
        Which::Escalated => ("Nothing is escalated", "The leads have nothing to look at."),
        Which::Snoozed => ("Nothing sleeps", "Snoozed alerts stand here until they come back."),
        Which::Proposed => {
            ("Nothing waits for a second person", "Costly verdicts stand here until a lead agrees.")
        }
        Which::Resolved => ("Nothing is resolved yet", "Verdicts stand here, the last one first."),
    }
}

fn nothing(which: Which) -> Markup {
    let (title, text) = nothing_text(which);
    html! {
        div.nothing {
            svg aria-hidden="true" viewBox="0 0 48 48" width="44" height="44" {
                circle cx="24" cy="24" r="21" fill="none" stroke="currentColor" stroke-width="2.5" {}
                path d="M15 25l6.5 6.5L34 18" fill="none" stroke="currentColor" stroke-width="2.5" stroke-linecap="round" stroke-linejoin="round" {}
            }
            p.nothing-title { (title) }
            p { (text) }
        }
    }
}

fn tabs(query: &ListQuery) -> Markup {
    html! {
        nav.tabs aria-label="Which alerts" {
            @for which in Which::ALL {
                @let asked = ListQuery { which, text: None, cursor: None, ..query.clone() };
                a href={ "/queue" (mark(&address(&asked))) } aria-current=[(which == query.which).then_some("page")] { (tab(which)) }
            }
        }
    }
}

fn filters(view: &ListView) -> Markup {
    let query = &view.query;
    html! {
        form.filters #filters action="/queue" method="get" {
            input type="hidden" name="which" value=(query.which.as_str());
            label { "Order " select name="order" {
                @for (order, word) in [(ListOrder::Rank, "urgency"), (ListOrder::Age, "age"), (ListOrder::Amount, "amount")] {
                    option value=(order.as_str()) selected[query.order == order] { (word) }
                }
            } }
            label { "Rule " input name="rule" value=(query.rule.as_deref().unwrap_or_default()) list="rules" maxlength="256"
                placeholder="any" autocomplete="off"; }
            datalist #rules { @for rule in &view.rules { option value=(rule); } }
            label { "At risk from " select name="min_loss_minor" {
                option value="" { "any amount" }
                @for loss in losses(query.min_loss_minor, &view.currency) {
                    option value=(loss) selected[query.min_loss_minor == Some(loss)] { (money::text(loss, &view.currency)) }
                }
            } }
            button type="submit" { "Filter" }
            (saved(view))
            (columns())
        }
    }
}

/// The usual ones, and the one that was asked for: minor units.
fn losses(asked: Option<i64>, currency: &str) -> Vec<i64> {
    let unit = 10_i64.pow(minor_digits(currency));
    let mut all: Vec<_> = LOSSES.into_iter().map(|whole| whole * unit).chain(asked).collect();
    all.sort_unstable();
    all.dedup();
    all
}

fn saved(view: &ListView) -> Markup {
    html! {
        details.menu #saved {
            summary { "Saved filters" }
            div {
                ul {
                    @for filter in &view.filters {
                        li {
                            a href={ "/queue" (mark(&filter.query)) } { bdi { (filter.name) } }
                            button.plain type="button" data-forget=(filter.name) aria-label={ "Remove filter " (filter.name) } { "✕" }
                        }
                    }
                    @if view.filters.is_empty() { li.soft { "None yet." } }
                }
                label { "Keep this one as " input #filter-name maxlength="64" autocomplete="off"; }
                button #filter-save type="button" { "Keep" }
            }
        }
    }
}

fn columns() -> Markup {
    html! {
        details.menu #columns {
            summary { "Columns" }
            div {
                @for (name, heading) in COLUMNS {
                    label.line { input type="checkbox" checked data-column=(name); " " (heading) }
                }
            }
        }
    }
}

fn bulk(second_person_from: Option<usize>) -> Markup {
    html! {
        form.bulk #bulk hidden aria-label="Bulk action" data-second-person=[second_person_from] {
            p { strong #bulk-count { "0 alerts" } " " span.soft #bulk-sum {} }
            label { span.quiet { "Verdict" } select #bulk-disposition required { (dialog::disposition_options()) } }
            label { span.quiet { "Reason" } select #bulk-reason required disabled { option value="" { "Choose a reason" } } }
            label.line #bulk-block-line hidden { input #bulk-block type="checkbox"; " block them too" }
            button.main type="submit" { "Decide" }
            button.plain #bulk-none type="button" { "Select none" }
        }
    }
}

fn mark(query: &str) -> String {
    if query.is_empty() { String::new() } else { format!("?{query}") }
}

fn more(query: &ListQuery, next: &str) -> String {
    format!("/queue?{}", address(&ListQuery { cursor: Some(next.to_owned()), ..query.clone() }))
}

fn export(query: &ListQuery) -> String {
    format!("/v1/alerts/export{}", mark(&address(&ListQuery { cursor: None, ..query.clone() })))
}

/// The query as in an address, without what is usual.
pub(crate) fn address(query: &ListQuery) -> String {
    let mut pairs = Vec::new();
    let mut add = |name: &str, value: &str| pairs.push(format!("{name}={}", part(value)));
    if query.which != Which::default() {
        add("which", query.which.as_str());
    }
    if query.order != ListOrder::default() {
        add("order", query.order.as_str());
    }
    if let Some(rule) = &query.rule {
        add("rule", rule);
    }
    if let Some(loss) = query.min_loss_minor {
        add("min_loss_minor", &loss.to_string());
    }
    if let Some(text) = &query.text {
        add("text", text);
    }
    if let Some(cursor) = &query.cursor {
        add("cursor", cursor);
    }
    pairs.join("&")
}
