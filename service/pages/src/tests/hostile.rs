//! An alert as somebody who means harm would have it: what others write is in every place where they can write it.

use pages::{AlertView, Party};
use queue::alert::{KnownLabel, Note};

use super::{NOW, alert_view};

/// An alert in which every text from outside is this one.
pub fn hostile_view(text: &str) -> AlertView {
    let mut view = alert_view();
    let text = || text.to_owned();
    let one = &mut view.detail.alert;
    (one.entity, one.key, one.rule, one.why) = (text(), text(), text(), text());
    (one.assignee, one.currency, one.reason) = (Some(text()), text(), Some(text()));
    for hit in &mut view.detail.hits {
        (hit.transaction_id, hit.policy, hit.model) = (text(), text(), Some(text()));
        hit.entities = vec![(text(), text())];
        for reason in &mut hit.reasons {
            reason.text = text();
        }
    }
    for past in &mut view.past {
        (past.transaction_id, past.decision_id) = (text(), text());
        past.parties = vec![Party { entity: text(), shown: text(), is_new: true }];
        past.label = Some(KnownLabel { fraud: true, label_ms: NOW, source: text() });
    }
    for link in &mut view.links {
        (link.entity, link.shown, link.open) = (text(), text(), vec![(text(), text())]);
    }
    view.detail.notes = vec![Note { at_ms: NOW, author: text(), text: text() }];
    view.detail.draft = Some(text());
    view.viewers = vec![text()];
    view.band = Some(text());
    view.shell.person.name = text();
    view.detail.history[0].detail = format!("{{\"to\":{}}}", serde_json::Value::from(text()));
    view.detail.history[0].actor = text();
    view
}
