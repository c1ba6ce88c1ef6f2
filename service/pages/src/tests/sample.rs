//! Made-up alerts with everything in them that a page can show: for the tests, and for pictures of every page.

#[path = "hostile.rs"]
mod hostile;

use std::collections::BTreeSet;

pub use hostile::hostile_view;
use pages::{
    AlertView, AuditView, DashboardView, EntityView, FeatureNow, Follows, Link, ListView, May, Party, Past,
    SearchView, Shell, Signed,
};
use queue::alert::{Alert, AlertDetail, Disposition, Hit, KnownLabel, LabelOnItsWay, Note, State};
use queue::{AnalystFigures, AuditEntry, AuditPage, AuditQuery, Dashboard, ListPage, ListQuery, SavedFilter};
use schemas::decision::Verdict;
use schemas::reason::{Reason, ReasonSource};

/// Now: 2026-11-25 22:18:07 UTC.
pub const NOW: i64 = 1_795_645_087_000;

/// A second and its multiples.
pub const SECOND: i64 = 1_000;
pub const MINUTE: i64 = 60 * SECOND;
pub const HOUR: i64 = 60 * MINUTE;
pub const DAY: i64 = 24 * HOUR;

/// What a lead may.
pub const LEAD: May = May { work: true, lead: true, reveal: true, audit: true, chargebacks: true };

/// The card of the alert, whole.
pub const CARD: &str = "tok_9f86d081884c7d65";

pub fn shell() -> Shell {
    Shell {
        now_ms: NOW,
        person: Signed {
            name: "anna".to_owned(),
            roles: vec!["analyst".to_owned(), "lead".to_owned()],
            csrf: "c5rf-t0ken".to_owned(),
            may: LEAD,
        },
        database: None,
    }
}

pub fn alert(n: usize) -> Alert {
    const WHY: [&str; 6] = [
        "7 payments in 1 h, usually 0.3",
        "First payment at this device, 4 other cards used it today",
        "Amount 38 times the card's own mean of 30 days",
        "Merchant with 12 chargebacks in 7 days",
        "Country changed from PT to VN within 40 min",
        "On the watch list \"mule-merchants\"",
    ];
    const AMOUNTS: [(i64, &str); 6] = [
        (1_249_900, "EUR"),
        (489_000, "EUR"),
        (2_480_000, "JPY"),
        (212_035, "EUR"),
        (99_950, "KWD"),
        (4_999, "EUR"),
    ];
    const VERDICTS: [Verdict; 4] = [Verdict::Decline, Verdict::Challenge, Verdict::Review, Verdict::Review];
    let (amount_minor, currency) = AMOUNTS[n % 6];
    let score = 0.97 - 0.05 * (n % 12) as f64;
    let opened_ms = NOW - 7 * MINUTE - n as i64 * 53 * MINUTE;
    let is_held = n % 4 == 2;
    Alert {
        alert_id: format!("alr_{:032x}", 0x9beec7_u64 * (n as u64 + 1)),
        version: 7,
        entity: "card".to_owned(),
        key: if n == 0 {
            CARD.to_owned()
        } else {
            format!("tok_{:016x}", 0x51ed_270b_1234_u64 * (n as u64 + 3))
        },
        rule: ["velocity", "new-device", "high-amount"][n % 3].to_owned(),
        state: State::Open,
        escalated: n == 4,
        assignee: (n == 5).then(|| "ben".to_owned()),
        holder: is_held.then(|| "ben".to_owned()),
        lease_until_ms: is_held.then_some(NOW + 3 * MINUTE),
        snoozed_until_ms: None,
        opened_ms,
        due_ms: if n % 5 == 3 { NOW - 12 * MINUTE } else { opened_ms + 12 * HOUR },
        changed_ms: opened_ms,
        hits: [3, 1, 1, 2][n % 4],
        amount_minor,
        currency: currency.to_owned(),
        expected_loss_minor: (amount_minor as f64 * score) as i64,
        rank_key: 100.0 - n as f64,
        score: (n != 7).then_some(score),
        verdict: VERDICTS[n % 4],
        hold: n.is_multiple_of(4),
        why: WHY[n % 6].to_owned(),
        disposition: None,
        reason: None,
        resolved_by: None,
        resolved_ms: None,
        undo: None,
    }
}

pub fn list_view(alerts: Vec<Alert>) -> ListView {
    ListView {
        shell: shell(),
        query: ListQuery { limit: 50, ..ListQuery::default() },
        page: ListPage { alerts, next: Some("40590000000000006162".to_owned()) },
        filters: vec![SavedFilter {
            name: "big and late".to_owned(),
            query: "which=late&order=amount".to_owned(),
        }],
        rules: vec!["high-amount".to_owned(), "new-device".to_owned(), "velocity".to_owned()],
        second_person_bulk: Some(50),
        large: BTreeSet::new(),
        currency: "EUR".to_owned(),
    }
}

fn reason(code: &str, text: &str, value: f64, norm: Option<f64>, contribution: f64) -> Reason {
    Reason {
        code: code.into(),
        text: text.to_owned(),
        feature: Some(code.into()),
        value: Some(value),
        norm,
        contribution: Some(contribution),
        source: ReasonSource::Model,
    }
}

fn reasons() -> Vec<Reason> {
    let rule = Reason {
        code: "new_device_night".into(),
        text: "Rule: new device between midnight and five".to_owned(),
        feature: None,
        value: None,
        norm: None,
        contribution: None,
        source: ReasonSource::Rule,
    };
    vec![
        reason("card_count_1h", "7 payments in 1 h, usually 0.3", 7.0, Some(0.3), 2.41),
        reason("card_amount_ratio_30d", "Amount 38 times the card's mean of 30 days", 38.2, Some(1.0), 1.72),
        reason("device_cards_24h", "5 cards on this device in 24 h, usually 1", 5.0, Some(1.0), 0.94),
        rule,
        reason("merchant_chargebacks_7d", "12 chargebacks at this merchant in 7 days", 12.0, Some(0.4), 0.31),
    ]
}

pub fn hit(n: usize) -> Hit {
    Hit {
        hit_id: format!("alr_hit{n}"),
        decision_id: format!("dec_{n:032x}"),
        transaction_id: format!("tx-20261125-{n:06}"),
        event_ms: NOW - 9 * MINUTE - n as i64 * 6 * MINUTE,
        raised_ms: NOW - 8 * MINUTE - n as i64 * 6 * MINUTE,
        verdict: Verdict::Decline,
        hold: n == 0,
        score: Some(0.97 - 0.02 * n as f64),
        amount_minor: [649_900, 400_000, 200_000][n % 3],
        currency: "EUR".to_owned(),
        expected_loss_minor: [630_403, 380_000, 186_000][n % 3],
        entities: vec![
            ("card".to_owned(), CARD.to_owned()),
            ("device".to_owned(), "dev-77c1a2".to_owned()),
            ("merchant".to_owned(), "lumen-electronics-4471".to_owned()),
        ],
        reasons: reasons(),
        model: Some("fraud/3".to_owned()),
        policy: "2026-11-20".to_owned(),
        label: None,
    }
}

fn party(entity: &str, shown: &str, is_new: bool) -> Party {
    Party { entity: entity.to_owned(), shown: shown.to_owned(), is_new }
}

pub fn past() -> Vec<Past> {
    const MERCHANTS: [&str; 5] =
        ["corner-bakery-12", "metro-lisboa", "grocer-9", "bookshop-carmo", "stream-tv"];
    let mut all: Vec<_> = (0..3)
        .map(|n| {
            let hit = hit(n);
            Past {
                decision_id: hit.decision_id,
                transaction_id: hit.transaction_id,
                event_ms: hit.event_ms,
                amount_minor: hit.amount_minor,
                currency: hit.currency,
                verdict: hit.verdict,
                hold: hit.hold,
                score: hit.score,
                label: None,
                is_hit: true,
                parties: vec![
                    party("merchant", "lumen-electronics-4471", n == 2),
                    party("device", "••••c1a2", n == 2),
                    party("country", "VN", n == 2),
                ],
            }
        })
        .collect();
    all.extend((0..17_usize).map(|n| {
        let verdict = match n {
            2 => Verdict::Review,
            7 => Verdict::Challenge,
            _ => Verdict::Approve,
        };
        let label = match n {
            2 => Some((true, "chargeback")),
            7 | 11 => Some((false, "analyst")),
            _ => None,
        };
        Past {
            decision_id: format!("dec_{n:032x}"),
            transaction_id: format!("tx-2026110{}-{n:06}", n % 10),
            event_ms: NOW - 2 * HOUR - n as i64 * (19 * HOUR + 7 * MINUTE),
            amount_minor: [1_240, 185, 48_900, 2_310, 999, 6_450, 310][n % 7] + 100 * n as i64,
            currency: "EUR".to_owned(),
            verdict,
            hold: false,
            score: (n != 13).then_some(if verdict == Verdict::Approve {
                0.02 + 0.01 * (n % 5) as f64
            } else {
                0.58
            }),
            label: label.map(|(fraud, source)| KnownLabel {
                fraud,
                label_ms: NOW - DAY,
                source: source.to_owned(),
            }),
            is_hit: false,
            parties: vec![
                party("merchant", MERCHANTS[n % 5], n >= 12 || n == 2),
                party("device", "••••03fe", false),
                party("country", "PT", false),
            ],
        }
    }));
    all
}

fn links() -> Vec<Link> {
    vec![
        Link {
            entity: "device".to_owned(),
            shown: "••••c1a2".to_owned(),
            others: 4,
            fraud: 2,
            legitimate: 0,
            open: vec![
                (alert(1).alert_id, "••••a410".to_owned()),
                (alert(2).alert_id, "••••7bc2".to_owned()),
            ],
        },
        Link {
            entity: "merchant".to_owned(),
            shown: "lumen-electronics-4471".to_owned(),
            others: 231,
            fraud: 12,
            legitimate: 140,
            open: vec![],
        },
    ]
}

fn entry(seq: i64, before_ms: i64, action: &str, detail: &str) -> AuditEntry {
    AuditEntry {
        seq,
        at_ms: NOW - before_ms,
        actor: if seq % 3 == 0 { "ben".to_owned() } else { "anna".to_owned() },
        action: action.to_owned(),
        object: if action == "reveal" { "card".to_owned() } else { alert(seq as usize % 5).alert_id },
        detail: detail.to_owned(),
        before: "0".repeat(64),
        hash: format!("{:064x}", 0x5eed_1234_5678_9abc_u64 as u128 * seq as u128),
    }
}

fn history() -> Vec<AuditEntry> {
    vec![
        entry(3, 6 * MINUTE, "claim", "{\"version\":4}"),
        entry(6, 4 * MINUTE, "release", "{\"version\":5}"),
        entry(7, 90 * SECOND, "claim", "{\"version\":7}"),
    ]
}

pub fn alert_view() -> AlertView {
    let mut one = alert(0);
    (one.holder, one.lease_until_ms) = (Some("anna".to_owned()), Some(NOW + 4 * MINUTE + 12 * SECOND));
    AlertView {
        shell: shell(),
        detail: AlertDetail {
            alert: one,
            hits: (0..3).map(hit).collect(),
            notes: vec![Note {
                at_ms: NOW - 5 * MINUTE,
                author: "ben".to_owned(),
                text: "Called the card holder, no answer. Second try at 22:40.".to_owned(),
            }],
            draft: Some("Device seen with two stolen cards".to_owned()),
            labels: Vec::new(),
            history: history(),
        },
        band: Some("very high".to_owned()),
        viewers: vec!["ben".to_owned()],
        bars: None,
        follows: Follows { payments: 3, can_block: true, second_person: None, undo_ms: MINUTE },
        past: past(),
        links: links(),
    }
}

/// Seen by an analyst while another holds it.
pub fn barred_view() -> AlertView {
    let mut view = alert_view();
    (view.shell.person.name, view.shell.person.roles) = ("ben".to_owned(), vec!["analyst".to_owned()]);
    view.shell.person.may = May { work: true, reveal: true, ..May::default() };
    view.bars = Some("anna holds it".to_owned());
    view
}

/// After the verdict, while it can be taken back.
pub fn resolved_view() -> AlertView {
    let mut view = alert_view();
    let one = &mut view.detail.alert;
    one.state = State::Resolved;
    (one.holder, one.lease_until_ms) = (None, None);
    one.disposition = Some(Disposition::Fraud);
    one.reason = Some("card_copied".to_owned());
    (one.resolved_by, one.resolved_ms) = (Some("anna".to_owned()), Some(NOW - 18 * SECOND));
    one.undo = Some(("act_1".to_owned(), NOW + 42 * SECOND));
    view.detail.labels = (0..3_usize)
        .map(|n| LabelOnItsWay {
            transaction_id: format!("tx-20261125-{n:06}"),
            fraud: true,
            leaves_ms: NOW + 42 * SECOND,
            sent_ms: (n > 0).then_some(NOW - 9 * SECOND),
            applied_ms: (n > 1).then_some(NOW - 8 * SECOND),
        })
        .collect();
    view.detail.draft = None;
    view
}

/// A verdict of somebody else that waits for a second person.
pub fn proposed_view() -> AlertView {
    let mut view = alert_view();
    let one = &mut view.detail.alert;
    one.state = State::Proposed;
    (one.holder, one.lease_until_ms) = (None, None);
    one.disposition = Some(Disposition::Legitimate);
    one.reason = Some("travel".to_owned());
    one.resolved_by = Some("ben".to_owned());
    view
}

pub fn entity_view() -> EntityView {
    const FEATURES: [(&str, &str); 9] = [
        ("card_count_1h", "7"),
        ("card_count_24h", "9"),
        ("card_amount_sum_24h", "12 871.35"),
        ("card_amount_mean_30d", "34.10"),
        ("card_amount_ratio_30d", "38.2"),
        ("card_distinct_merchants_7d", "6"),
        ("card_distinct_countries_24h", "2"),
        ("card_seconds_since_last", "362"),
        ("card_labelled_fraud_90d", "1"),
    ];
    let feature = |(name, value): (&str, &str)| FeatureNow { name: name.to_owned(), value: value.to_owned() };
    EntityView {
        shell: shell(),
        alert_id: alert(0).alert_id,
        entity: "card".to_owned(),
        shown: pages::masked_key(CARD),
        features: FEATURES.map(feature).to_vec(),
        past: past(),
        links: links(),
        alerts: vec![alert(0), resolved_view().detail.alert],
    }
}

pub fn search_view() -> SearchView {
    SearchView { shell: shell(), text: "tok_9f8".to_owned(), alerts: vec![alert(0), alert(3)] }
}

pub fn dashboard_view() -> DashboardView {
    let analyst = |name: &str, resolved, fraud, legitimate| AnalystFigures {
        name: name.to_owned(),
        resolved,
        fraud,
        legitimate,
    };
    DashboardView {
        shell: shell(),
        board: Dashboard {
            open: 1_284,
            held: 11,
            escalated: 3,
            late: 27,
            snoozed: 64,
            proposed: 2,
            oldest_ms: Some(NOW - 27 * HOUR),
            at_risk: vec![
                ("EUR".to_owned(), 48_129_030),
                ("JPY".to_owned(), 9_214_000),
                ("KWD".to_owned(), 812_450),
            ],
            saved: vec![("EUR".to_owned(), 12_904_410)],
            analysts: vec![
                analyst("anna", 312, 41, 250),
                analyst("ben", 287, 38, 230),
                analyst("chiara", 9, 1, 8),
            ],
            since_ms: NOW - 8 * HOUR,
        },
    }
}

pub fn audit_view() -> AuditView {
    const DEEDS: [(&str, &str); 8] = [
        (
            "resolve",
            "{\"action\":\"act_1\",\"block\":true,\"disposition\":\"fraud\",\"reason\":\"card_copied\",\"version\":8}",
        ),
        ("claim", "{\"version\":7}"),
        ("reveal", "{\"entity\":\"card\",\"key\":\"tok_9f86d081884c7d65\"}"),
        ("snooze", "{\"until\":1795652287000,\"version\":3}"),
        ("assign", "{\"to\":\"ben\",\"version\":2}"),
        ("undo", "{\"action\":\"act_0\"}"),
        ("sign_in", "{}"),
        ("add_account", "{\"roles\":[\"analyst\",\"lead\"]}"),
    ];
    let deed = |(place, (action, detail)): (usize, (&str, &str))| {
        entry(4_812 - place as i64, (place as i64 + 1) * 97 * SECOND, action, detail)
    };
    AuditView {
        shell: shell(),
        query: AuditQuery { actor: Some("anna".to_owned()), limit: 50, ..AuditQuery::default() },
        page: AuditPage { entries: DEEDS.into_iter().enumerate().map(deed).collect(), next: Some(4_804) },
    }
}

/// Every page as (name, text).
pub fn all() -> Vec<(&'static str, String)> {
    let mut away = shell();
    away.database = Some("it is locked".to_owned());
    let stale_list = ListView { shell: away, ..list_view((0..4).map(alert).collect()) };
    vec![
        ("list", pages::list(&list_view((0..14).map(alert).collect()))),
        (
            "list-empty",
            pages::list(&ListView { page: ListPage { alerts: vec![], next: None }, ..list_view(vec![]) }),
        ),
        ("list-database-away", pages::list(&stale_list)),
        ("alert", pages::alert(&alert_view())),
        ("alert-barred", pages::alert(&barred_view())),
        ("alert-resolved", pages::alert(&resolved_view())),
        ("alert-proposed", pages::alert(&proposed_view())),
        (
            "alert-hostile",
            pages::alert(&hostile_view("\"><img src=x onerror=alert(1)><script>alert(1)</script>")),
        ),
        ("entity", pages::entity(&entity_view())),
        ("search", pages::search(&search_view())),
        ("search-nothing", pages::search(&SearchView { alerts: vec![], ..search_view() })),
        ("dashboard", pages::dashboard(&dashboard_view())),
        ("audit", pages::audit(&audit_view())),
        ("sign-in", pages::sign_in("/queue?which=late", None)),
        ("sign-in-refused", pages::sign_in("/queue", Some("Name or password are wrong."))),
        ("not-found", pages::problem("Not found", "There is no such alert.", 404, Some(&shell()))),
        ("problem", pages::problem("Not allowed", "This takes the role lead.", 403, None)),
    ]
}
