//! What an entity has in common with others, coloured by what is known of them.

use maud::{Markup, html};

use crate::mask;
use crate::shell::{alert_path, part};
use crate::view::Link;

/// Most open alerts that are named.
const MOST: usize = 5;

/// The links; says so when there are none.
pub(crate) fn links(links: &[Link], entity: &str, alert_id: &str) -> Markup {
    html! {
        section.panel.links {
            div.panel-head { h2 { "Links" } p { "other " (entity) "s in the last payments of what this one was with" } }
            @if links.is_empty() { p.soft { "It shares nothing with others that is known." } }
            ul { @for link in links { (one(link, entity, alert_id)) } }
        }
    }
}

fn one(link: &Link, entity: &str, alert_id: &str) -> Markup {
    let unknown = link.others.saturating_sub(link.fraud + link.legitimate);
    html! {
        li {
            p {
                a href={ (alert_path(alert_id)) "/entity/" (part(&link.entity)) } { (link.entity) " " (mask::key(&link.shown)) }
                " " span.soft { "with " (count(link.others, entity)) }
            }
            p.counts {
                (share(link))
                span.label data-fraud="true" { "✕ " (link.fraud) " fraud" }
                span.label data-fraud="false" { "✓ " (link.legitimate) " legitimate" }
                span.soft { (unknown) " without a label" }
            }
            @if !link.open.is_empty() {
                p.soft {
                    "open alerts: "
                    @for (place, (id, shown)) in link.open.iter().take(MOST).enumerate() {
                        @if place > 0 { ", " } a href=(alert_path(id)) { (mask::key(shown)) }
                    }
                    @if link.open.len() > MOST { " and " (link.open.len() - MOST) " more" }
                }
            }
        }
    }
}

fn count(n: usize, entity: &str) -> String {
    match n {
        0 => format!("no other {entity}"),
        1 => format!("1 other {entity}"),
        n => format!("{n} other {entity}s"),
    }
}

/// Fraud, legitimate and unknown as parts of a bar.
fn share(link: &Link) -> Markup {
    let all = link.others.max(link.fraud + link.legitimate).max(1) as f64;
    let (fraud, legitimate) = (96.0 * link.fraud as f64 / all, 96.0 * link.legitimate as f64 / all);
    html! {
        svg.share aria-hidden="true" viewBox="0 0 96 6" width="96" height="6" {
            rect.bar-back width="96" height="6" {}
            rect.share-fraud width=(format!("{fraud:.1}")) height="6" {}
            rect.share-legitimate x=(format!("{fraud:.1}")) width=(format!("{legitimate:.1}")) height="6" {}
        }
    }
}
