//! An entity's page: its features now, its payments, its alerts, and what it has in common with others.

use maud::{Markup, html};

use crate::shell::{Here, Page, alert_path, document};
use crate::view::{EntityView, FeatureNow};
use crate::{link, list, mask, past, timeline};

/// The page.
pub fn entity(view: &EntityView) -> String {
    let title = format!("{} {}", view.entity, view.shown);
    let main = html! {
        main #main.entity {
            div.head {
                h1 { (view.entity) " " (mask::key(&view.shown)) }
                p { a href=(alert_path(&view.alert_id)) { "Back to the alert" } }
            }
            section.panel.history {
                h2 { "Payments" }
                @if view.past.is_empty() { p.soft { "No payment of it is known any more." } }
                @else { (timeline::timeline(&view.past)) (past::table(&view.past)) }
            }
            div.pair {
                (features(&view.features, &view.entity))
                (link::links(&view.links, &view.entity, &view.alert_id))
            }
            h2 { "Alerts" }
            @if view.alerts.is_empty() { p.soft { "None." } }
            @else { (list::looked_at(&view.alerts, &view.shell)) }
        }
    };
    document(&view.shell, &Page { here: Here::Entity, title: &title, searched: "", main })
}

fn features(features: &[FeatureNow], entity: &str) -> Markup {
    html! {
        section.panel.features {
            div.panel-head { h2 { "Features now" } p { "as the next payment of this " (entity) " would see them" } }
            @if features.is_empty() { p.soft { "They cannot be told at the moment." } }
            dl.values { @for one in features { div { dt { (one.name) } dd { (one.value) } } } }
        }
    }
}
