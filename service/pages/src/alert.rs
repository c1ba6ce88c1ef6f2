//! An alert's page: what it is about, why, what can be done, and what surrounds it, from top to bottom.

use maud::{Markup, html};
use queue::AuditEntry;
use queue::alert::{Alert, Hit, Note, State};

use crate::audit::detail;
use crate::shell::{Here, Page, alert_path, document, part};
use crate::view::{AlertView, Party, Past};
use crate::{act, badge, link, mask, money, past, time, timeline, why};

/// The whole page.
pub fn alert(view: &AlertView) -> String {
    let alert = &view.detail.alert;
    let title = format!("{} {}", alert.entity, mask::masked_key(&alert.key));
    document(&view.shell, &Page { here: Here::Alert, title: &title, searched: "", main: main(view) })
}

/// Its `<main>` alone: what the page exchanges.
pub fn alert_main(view: &AlertView) -> String {
    main(view).into_string()
}

fn main(view: &AlertView) -> Markup {
    let (detail, now_ms) = (&view.detail, view.shell.now_ms);
    let alert = &detail.alert;
    let holder = badge::holder(alert, now_ms);
    let payments = payments(view);
    html! {
        main #main.alert tabindex="-1" data-alert=(alert.alert_id) data-version=(alert.version)
            data-title={ (alert.entity) " " (mask::masked_key(&alert.key)) } data-state=(alert.state.as_str()) data-now=(now_ms) data-hits=(alert.hits)
            data-holder=[holder.map(|(name, _)| name)] data-lease=[holder.map(|(_, until_ms)| until_ms)]
            data-bars=[act::why_not(view)] {
            (head(view, holder))
            (why::why(alert, &detail.hits))
            (act::act(view))
            section.panel.history {
                div.panel-head {
                    h2 { "This payment and the last payments" }
                    p { a href=(entity_path(alert)) { "all of this " (alert.entity) } }
                }
                (timeline::timeline(&payments))
                (past::table(&payments))
            }
            (link::links(&view.links, &alert.entity, &alert.alert_id))
            (notes(&detail.notes, now_ms))
            (done(&detail.history, now_ms))
        }
    }
}

fn entity_path(alert: &Alert) -> String {
    format!("{}/entity/{}", alert_path(&alert.alert_id), part(&alert.entity))
}

fn head(view: &AlertView, holder: Option<(&str, i64)>) -> Markup {
    let (alert, now_ms) = (&view.detail.alert, view.shell.now_ms);
    html! {
        header.alert-head.panel {
            div.title {
                h1 { (alert.entity) " " span #alert-key { (mask::key(&mask::masked_key(&alert.key))) } }
                @if view.shell.person.may.reveal {
                    button.plain #reveal type="button" title="Each look is written to the audit log" { "Show whole" }
                }
                span.chips { (badge::state(alert, now_ms)) }
                p.one-line { bdi { (alert.why) } }
            }
            dl.facts {
                div.at-risk { dt { "At risk" } dd { (money::money(alert.expected_loss_minor, &alert.currency)) } }
                div { dt { (hits(alert.hits)) } dd { (money::money(alert.amount_minor, &alert.currency)) } }
                div {
                    dt { "Score" }
                    dd { (badge::score(alert.score)) @if let Some(band) = &view.band { " " small.soft { (band) } } }
                }
                div { dt { "Decision so far" } dd { (badge::verdict(alert.verdict, alert.hold)) } }
                @if let Some(at_ms) = alert.resolved_ms.filter(|_| alert.state == State::Resolved) {
                    div { dt { "Decided" } dd { (time::relative(at_ms, now_ms)) } }
                } @else {
                    div {
                        dt { "Time left" }
                        dd { (time::due(alert.due_ms, now_ms)) small.soft { " open " (time::age(alert.opened_ms, now_ms)) } }
                    }
                }
                div { dt { "Held by" } dd #holder { (held(view, holder)) } }
                div #viewers-fact hidden[view.viewers.is_empty()] { dt { "Also looking" } dd #viewers { (view.viewers.join(", ")) } }
            }
        }
    }
}

fn hits(n: i64) -> String {
    if n == 1 { "1 payment".to_owned() } else { format!("{n} payments") }
}

fn held(view: &AlertView, holder: Option<(&str, i64)>) -> Markup {
    html! {
        @match holder {
            Some((name, until_ms)) => {
                @if name == view.shell.person.name { "you" } @else { bdi { (name) } }
                small.soft { " for " span data-left=(until_ms) { (time::span(until_ms - view.shell.now_ms)) } }
            }
            None => span.soft { "nobody" }
        }
    }
}

/// The entity's last payments; where they cannot be told, those of the alert.
fn payments(view: &AlertView) -> Vec<Past> {
    if !view.past.is_empty() {
        return view.past.clone();
    }
    let own = &view.detail.alert.entity;
    view.detail.hits.iter().map(|hit| past_of(hit, own)).collect()
}

fn past_of(hit: &Hit, own: &str) -> Past {
    let others = hit.entities.iter().filter(|(entity, _)| entity != own);
    let party = |(entity, key): &(String, String)| Party {
        entity: entity.clone(),
        shown: mask::masked_key(key),
        is_new: false,
    };
    Past {
        decision_id: hit.decision_id.clone(),
        transaction_id: hit.transaction_id.clone(),
        event_ms: hit.event_ms,
        amount_minor: hit.amount_minor,
        currency: hit.currency.clone(),
        verdict: hit.verdict,
        hold: hit.hold,
        score: hit.score,
        label: hit.label.clone(),
        is_hit: true,
        parties: others.map(party).collect(),
    }
}

fn notes(notes: &[Note], now_ms: i64) -> Markup {
    html! {
        section.panel.notes {
            h2 { "What was noted" }
            @if notes.is_empty() { p.soft { "Nothing yet." } }
            @for note in notes {
                article.said {
                    p.soft { bdi { (note.author) } ", " (time::relative(note.at_ms, now_ms)) }
                    p.text dir="auto" { (note.text) }
                }
            }
        }
    }
}

/// What people did with it, the newest first.
fn done(history: &[AuditEntry], now_ms: i64) -> Markup {
    html! {
        section.panel.done {
            h2 { "What was done" }
            @if history.is_empty() { p.soft { "Nobody has touched it." } }
            ol reversed {
                @for entry in history.iter().rev() {
                    li {
                        (time::relative(entry.at_ms, now_ms)) " " bdi { (entry.actor) } " "
                        strong { (entry.action.replace('_', " ")) } " " span.soft { (detail(&entry.detail)) }
                    }
                }
            }
        }
    }
}
