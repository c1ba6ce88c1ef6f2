//! The audit log's page: who did what, the newest first.

use maud::{Markup, html};
use queue::{AuditEntry, AuditQuery};
use serde_json::Value;

use crate::shell::{Here, Page, alert_path, document, part};
use crate::view::AuditView;
use crate::{mask, time};

/// The page.
pub fn audit(view: &AuditView) -> String {
    let main = html! {
        main #main.audit {
            div.head { h1 { "Audit log" } p.soft { "each entry holds the hash of the one before: " code { "tripline audit verify" } " finds a change" } }
            (filter(&view.query))
            @if view.page.entries.is_empty() { p.soft { "No entry." } }
            @else { (table(&view.page.entries, view.shell.now_ms)) }
            @if let Some(before) = view.page.next { p.more { a.button href=(older(&view.query, before)) { "Older" } } }
        }
    };
    document(&view.shell, &Page { here: Here::Audit, title: "Audit log", searched: "", main })
}

fn filter(query: &AuditQuery) -> Markup {
    html! {
        form.filters action="/audit" method="get" {
            label { "Who " input name="actor" value=(query.actor.as_deref().unwrap_or_default()) maxlength="256" autocomplete="off"; }
            label { "With what " input name="object" value=(query.object.as_deref().unwrap_or_default()) maxlength="256" autocomplete="off"; }
            button type="submit" { "Filter" }
        }
    }
}

fn older(query: &AuditQuery, before: i64) -> String {
    let mut address = format!("/audit?before={before}");
    for (name, value) in [("actor", &query.actor), ("object", &query.object)] {
        if let Some(value) = value {
            address.push_str(&format!("&{name}={}", part(value)));
        }
    }
    address
}

fn table(entries: &[AuditEntry], now_ms: i64) -> Markup {
    html! {
        div.panel.table-panel.scroll tabindex="0" role="group" aria-label="Entries" {
            table.plain-table {
                caption.quiet { "Entries, the newest first" }
                thead { tr {
                    th.number scope="col" { "No." }
                    th scope="col" { "When" }
                    th scope="col" { "Who" }
                    th scope="col" { "What" }
                    th scope="col" { "With" }
                    th scope="col" { "More" }
                    th scope="col" { "Hash" }
                } }
                tbody { @for entry in entries { (row(entry, now_ms)) } }
            }
        }
    }
}

fn row(entry: &AuditEntry, now_ms: i64) -> Markup {
    html! {
        tr {
            th.number scope="row" { (entry.seq) }
            td { (time::relative(entry.at_ms, now_ms)) }
            td { a href={ "/audit?actor=" (part(&entry.actor)) } { bdi { (entry.actor) } } }
            td { strong { (entry.action.replace('_', " ")) } }
            td.object {
                @if entry.object.starts_with("alr_") { a href=(alert_path(&entry.object)) { bdi.key { (entry.object) } } }
                @else { bdi.key { (entry.object) } }
            }
            td.detail { (detail(&entry.detail)) }
            td { code title=(entry.hash) { (entry.hash.chars().take(10).collect::<String>()) "…" } }
        }
    }
}

/// An entry's more, as words. A key in it is masked here too.
pub(crate) fn detail(json: &str) -> String {
    let Ok(Value::Object(members)) = serde_json::from_str(json) else { return String::new() };
    let one = |(name, value): (&String, &Value)| {
        let value = match value {
            Value::Null => return None,
            Value::String(key) if name == "key" => mask::masked_key(key),
            Value::String(text) => text.clone(),
            Value::Number(at) if name == "until" => at.as_i64().map_or_else(|| at.to_string(), time::utc),
            Value::Array(all) => {
                let words = all.iter().map(|one| one.as_str().map_or_else(|| one.to_string(), str::to_owned));
                words.collect::<Vec<_>>().join(", ")
            }
            other => other.to_string(),
        };
        Some(format!("{} {value}", name.replace('_', " ")))
    };
    members.iter().filter_map(one).collect::<Vec<_>>().join(" · ")
}
