//! What the pages are made of: filled by the service, shown by the pages. Times are milliseconds since 1970.

use std::collections::BTreeSet;

use queue::alert::{Alert, AlertDetail, KnownLabel};
use queue::{AuditPage, AuditQuery, Dashboard, ListPage, ListQuery, SavedFilter};
use schemas::decision::Verdict;

/// What every page of somebody who is signed in has.
#[derive(Debug, Clone, PartialEq)]
pub struct Shell {
    /// The time at which the page is made.
    pub now_ms: i64,
    /// Who looks at it.
    pub person: Signed,
    /// Why the queue's database does not answer, if it does not.
    pub database: Option<String>,
}

/// Somebody who is signed in.
#[derive(Debug, Clone, PartialEq)]
pub struct Signed {
    /// The name.
    pub name: String,
    /// The words of the roles.
    pub roles: Vec<String>,
    /// What a change carries.
    pub csrf: String,
    /// What the roles may.
    pub may: May,
}

/// What somebody may, as far as a page has a button for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct May {
    /// Claim, decide, snooze, escalate, note.
    pub work: bool,
    /// Assign, take over, approve as the second person.
    pub lead: bool,
    /// See keys whole.
    pub reveal: bool,
    /// Read the audit log.
    pub audit: bool,
    /// Hand in files of chargebacks.
    pub chargebacks: bool,
}

/// The list.
#[derive(Debug, Clone, PartialEq)]
pub struct ListView {
    /// What every page has.
    pub shell: Shell,
    /// What was asked for.
    pub query: ListQuery,
    /// What was found.
    pub page: ListPage,
    /// This person's filters.
    pub filters: Vec<SavedFilter>,
    /// Alert rules that can be chosen, as far as they are known.
    pub rules: Vec<String>,
    /// Alerts of one bulk action from which on it needs a second person, if ever.
    pub second_person_bulk: Option<usize>,
    /// Ids of the alerts so large that a verdict which labels or blocks needs a second person.
    pub large: BTreeSet<String>,
    /// ISO 4217: what amounts are compared in, the lower bound among them.
    pub currency: String,
}

/// An alert with its surroundings.
#[derive(Debug, Clone, PartialEq)]
pub struct AlertView {
    /// What every page has.
    pub shell: Shell,
    /// The alert with all of the queue's own.
    pub detail: AlertDetail,
    /// The score's band by the policy, such as `high`; none when it is not known.
    pub band: Option<String>,
    /// Who else looks at it.
    pub viewers: Vec<String>,
    /// Why this person cannot give a verdict on it now, such as `it is for the leads`; none when they can.
    pub bars: Option<String>,
    /// What a verdict will do.
    pub follows: Follows,
    /// The entity's last payments, the newest first, those of this alert among them.
    pub past: Vec<Past>,
    /// What it has in common with others.
    pub links: Vec<Link>,
}

/// What follows a verdict, so that the page can say it before.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Follows {
    /// Payments that fraud or legitimate will label: without those of which somebody else knows better.
    pub payments: usize,
    /// The entity can go on a block list.
    pub can_block: bool,
    /// Why a verdict that labels or blocks waits for a second person, if it does.
    pub second_person: Option<String>,
    /// How long it can be taken back.
    pub undo_ms: i64,
}

/// A payment of an entity's history.
#[derive(Debug, Clone, PartialEq)]
pub struct Past {
    /// Its decision.
    pub decision_id: String,
    /// Its payment.
    pub transaction_id: String,
    /// When the card holder paid.
    pub event_ms: i64,
    /// Minor units.
    pub amount_minor: i64,
    /// ISO 4217.
    pub currency: String,
    /// What was decided then.
    pub verdict: Verdict,
    /// It waits for somebody.
    pub hold: bool,
    /// The score that it had then.
    pub score: Option<f64>,
    /// What it turned out to be since.
    pub label: Option<KnownLabel>,
    /// It belongs to this alert.
    pub is_hit: bool,
    /// Who else was part of it: merchant, device, country.
    pub parties: Vec<Party>,
}

/// Somebody or something that was part of a payment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Party {
    /// What it is, such as `merchant`.
    pub entity: String,
    /// Its key as it may be shown: who fills this in masks what identifies a person, by [`crate::masked_key`].
    pub shown: String,
    /// The entity had not met it before.
    pub is_new: bool,
}

/// What an entity has in common with others: a device, a merchant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Through what, such as `device`.
    pub entity: String,
    /// Its key as it may be shown.
    pub shown: String,
    /// How many others, such as cards.
    pub others: usize,
    /// Of those, with a payment that turned out to be fraud.
    pub fraud: usize,
    /// Of those, with payments that turned out to be legitimate, and none fraud.
    pub legitimate: usize,
    /// Their open alerts: id, and key as it may be shown.
    pub open: Vec<(String, String)>,
}

/// A feature of an entity, now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeatureNow {
    /// Its name in the features file.
    pub name: String,
    /// Its value, as text.
    pub value: String,
}

/// An entity.
#[derive(Debug, Clone, PartialEq)]
pub struct EntityView {
    /// What every page has.
    pub shell: Shell,
    /// The alert from which one came: keys are in no address.
    pub alert_id: String,
    /// What it is, such as `card`.
    pub entity: String,
    /// Its key as it may be shown.
    pub shown: String,
    /// Its features as of now; none when they cannot be told.
    pub features: Vec<FeatureNow>,
    /// Its last payments, the newest first.
    pub past: Vec<Past>,
    /// What it has in common with others.
    pub links: Vec<Link>,
    /// Its alerts, the newest first.
    pub alerts: Vec<Alert>,
}

/// What a search found.
#[derive(Debug, Clone, PartialEq)]
pub struct SearchView {
    /// What every page has.
    pub shell: Shell,
    /// What was searched for.
    pub text: String,
    /// What was found.
    pub alerts: Vec<Alert>,
}

/// The queue in numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct DashboardView {
    /// What every page has.
    pub shell: Shell,
    /// The numbers.
    pub board: Dashboard,
}

/// The audit log.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditView {
    /// What every page has.
    pub shell: Shell,
    /// What was asked for.
    pub query: AuditQuery,
    /// What was found.
    pub page: AuditPage,
}
