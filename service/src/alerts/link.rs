//! Links: what an entity has in common with others of its kind, as far as the last payments tell, with what is known of
//! them by now. Read from the decision index, whatever became of the payments, and from the queue's labels and alerts.

use std::collections::{BTreeMap, BTreeSet};

use pages::Link;
use queue::Queue;
use queue::alert::AlertDetail;
use schemas::decision::Decision;

use super::fault::within;
use super::page::shown_key;
use super::route::key_of;
use crate::http::answer::Problem;
use crate::rest::Rest;

/// Payments of a device or a merchant that are looked at: as many as the index gives at once.
const PAYMENTS: usize = 200;

/// Most links of a page, each of which is a look-up.
const MOST: usize = 6;

/// What the `own` entity of an alert shares: through each of the others that the alert's newest payment had.
pub(super) async fn links(
    rest: &Rest,
    queue: &Queue,
    detail: &AlertDetail,
    own: &str,
    own_key: &str,
) -> Result<Vec<Link>, Problem> {
    let met = detail.hits.iter().flat_map(|hit| &hit.entities).map(|(entity, _)| entity.as_str());
    let kinds: BTreeSet<&str> =
        met.chain([detail.alert.entity.as_str()]).filter(|kind| *kind != own).collect();
    let through =
        kinds.into_iter().filter_map(|kind| key_of(detail, Some(kind))).filter(|(_, key)| !key.is_empty());
    let each = through.take(MOST).map(|(entity, key)| link(rest, queue, entity, key, own, own_key));
    let found = futures_util::future::join_all(each).await;
    let mut links = found.into_iter().collect::<Result<Vec<_>, _>>()?;
    // What says most comes first.
    links.sort_by_key(|link| (std::cmp::Reverse(link.fraud), std::cmp::Reverse(link.others)));
    Ok(links)
}

async fn link(
    rest: &Rest,
    queue: &Queue,
    entity: &str,
    key: &str,
    own: &str,
    own_key: &str,
) -> Result<Link, Problem> {
    let decisions = rest.last_decisions(entity, key, PAYMENTS).await?;
    let ids: Vec<String> = decisions.iter().map(|decision| decision.transaction_id.clone()).collect();
    let labels = within(queue.labels_of(&ids)).await?;
    let frauds = labels.into_iter().map(|(id, label)| (id, label.fraud)).collect();
    let others = others(&decisions, own, own_key, &frauds);
    let keys: Vec<String> = others.keys().map(|key| (*key).to_owned()).collect();
    let open = within(queue.open_of(own, &keys)).await?;
    let open = open.into_iter().map(|(id, key)| (id, shown_key(own, &key))).collect();
    let count = |fraud| others.values().filter(|known| **known == Some(fraud)).count();
    Ok(Link {
        entity: entity.to_owned(),
        shown: shown_key(entity, key),
        others: others.len(),
        fraud: count(true),
        legitimate: count(false),
        open,
    })
}

/// The others of a kind in these payments, each with what is known of it: one fraud weighs more than any honest payment.
fn others<'a>(
    decisions: &'a [Decision],
    own: &str,
    own_key: &str,
    frauds: &BTreeMap<String, bool>,
) -> BTreeMap<&'a str, Option<bool>> {
    let mut others = BTreeMap::new();
    for decision in decisions {
        let label = frauds.get(&decision.transaction_id).copied();
        let met = decision.entities.iter().filter(|one| *one.entity == *own && !one.key.is_empty());
        for one in met.filter(|one| one.key != own_key) {
            let known = others.entry(one.key.as_str()).or_insert(None);
            *known = (*known).max(label);
        }
    }
    others
}
