//! `bench review`: what a team finds that has time for so many reviews a day, by the order in which it takes them.
//!
//! ```text
//!   payments ─► replay ─► features ─► a logistic regression on 30 days ─┐
//!      │                                                  7 days of delay│
//!      └──────► replay with that model ─► alerts of the last 24 days ◄───┘
//!                                             └─► the analysts' queue, once for each order
//! ```
//! The payments are those of the Fraud Detection Handbook, or others in its columns. A payment's label is known seven
//! days after it, to the features, to the training and to the queue: nothing that is used for a day was learnt from it or
//! a later one. The order that is Tripline's is the queue's own `claim_next`; the others choose among the same alerts of
//! a queue of their own.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail, ensure};
use models::{Facts, Kind, Missing, Model, Output, Version, logistic, pack};
use queue::Rules;
use schemas::alert::Alert;
use schemas::time::DAY_MS;
use tokio::runtime::Runtime;

use super::{Figure, figure};
use crate::config::{Setup, load};
use crate::pipeline::{Deciders, Ruling};
use crate::policy::Lists;
use crate::replay::{Files, Replay};

mod data;
mod fit;
mod team;

use data::{Truth, learnt};
pub use data::{labels, truths};
use team::{Caught, Order, Shift};

/// Days that are reviewed, the last of the file.
const REVIEWED_DAYS: i64 = 24;
/// Days that the model is fitted on. They end [`DELAY_DAYS`] before the first day that is reviewed.
const LEARNT_DAYS: i64 = 30;
/// How long it takes until a label is known.
const DELAY_DAYS: i64 = 7;

/// The handbook's example, as it stands in `deploy/examples`, but for the policy: that one raises fewer alerts than there
/// is time for, and then every order finds the same.
const EXAMPLE: [(&str, &str); 3] = [
    ("tripline.toml", include_str!("../../../deploy/examples/handbook/tripline.toml")),
    ("features.toml", include_str!("../../../deploy/examples/handbook/features.toml")),
    ("policy.toml", POLICY),
];

/// Sends whatever is a little likely to people: some three times as much as they can look at.
const POLICY: &str = r#"
[thresholds]
review = 0.03

[[alert]]
name = "a_little_likely"
verdicts = ["review"]
"#;

/// What came of it.
pub struct Reviewed {
    /// As a table in Markdown.
    pub table: String,
    /// The same, one by one.
    pub figures: Vec<Figure>,
}

/// Runs it over a folder with `transactions_*.parquet`.
///
/// # Errors
/// When the file is not like the handbook's, or too short, or something that is measured failed.
pub fn run(folder: &Path, reviews: u32, sets: &[String]) -> anyhow::Result<Reviewed> {
    let work = tempfile::tempdir()?;
    for (name, text) in EXAMPLE {
        std::fs::write(work.path().join(name), text)?;
    }
    let setup = load(&work.path().join("tripline.toml"), sets, Vec::new())?;
    let payments = transactions(folder)?;
    let truths = truths(&payments)?;
    let days = Days::of(&truths)?;
    let labels = labels(&truths, DELAY_DAYS, &work.path().join("labels.parquet"))?;
    let world = Run { setup, payments, labels, work: work.path(), truths, days };
    let model = world.fitted()?;
    let Raised { alerts, scores } = world.raised(model)?;
    let rules = &world.setup.config.queue.rules;
    let by_id: HashMap<&str, &Truth> = world.truths.iter().map(|truth| (&*truth.id, truth)).collect();
    let shift = Shift {
        alerts: &alerts,
        truths: &by_id,
        rules,
        from_ms: days.reviewed_ms,
        days: REVIEWED_DAYS,
        reviews: i64::from(reviews),
        delay_ms: DELAY_DAYS * DAY_MS,
    };
    let caught = Runtime::new()?.block_on(async {
        let each = Order::ALL.iter().map(|order| shift.worked(*order, work.path()));
        futures_util::future::join_all(each).await
    });
    let caught = caught.into_iter().collect::<Result<Vec<_>, _>>()?;
    Ok(told(&world, &alerts, &scores, &caught, reviews, rules))
}

/// The one file of payments in the folder.
///
/// # Errors
/// When there is none, or several.
pub fn transactions(folder: &Path) -> anyhow::Result<PathBuf> {
    let entries = std::fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    let mut files: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.retain(|path| {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        name.starts_with("transactions_") && name.ends_with(".parquet")
    });
    match files.as_slice() {
        [file] => Ok(file.clone()),
        _ => bail!("{}: one transactions_*.parquet is expected, {} are there", folder.display(), files.len()),
    }
}

/// Where the days begin and end, milliseconds.
#[derive(Debug, Clone, Copy)]
struct Days {
    learnt_ms: i64,
    learnt_end_ms: i64,
    reviewed_ms: i64,
}

impl Days {
    fn of(truths: &[Truth]) -> anyhow::Result<Self> {
        let first = truths.first().context("no payment")?.event_ms.div_euclid(DAY_MS);
        let last = truths.last().context("no payment")?.event_ms.div_euclid(DAY_MS);
        let reviewed = last + 1 - REVIEWED_DAYS;
        let learnt_end = reviewed - DELAY_DAYS;
        let learnt = learnt_end - LEARNT_DAYS;
        let wanted = REVIEWED_DAYS + DELAY_DAYS + LEARNT_DAYS;
        ensure!(learnt >= first, "{} days of payments, where {wanted} are the least", last + 1 - first);
        Ok(Self {
            learnt_ms: learnt * DAY_MS,
            learnt_end_ms: learnt_end * DAY_MS,
            reviewed_ms: reviewed * DAY_MS,
        })
    }
}

struct Run<'a> {
    setup: Setup,
    payments: PathBuf,
    labels: PathBuf,
    work: &'a Path,
    truths: Vec<Truth>,
    days: Days,
}

/// What the days that are reviewed came to.
struct Raised {
    alerts: Vec<Alert>,
    /// Of each payment the score, and whether it was fraud.
    scores: Vec<(f64, bool)>,
}

impl Run<'_> {
    fn replay(&self, model: Option<Arc<Model>>) -> Replay<'_> {
        Replay {
            mapping: Arc::clone(&self.setup.config.mapping),
            definitions: Arc::clone(&self.setup.definitions),
            limits: &self.setup.config.limits,
            deciders: Deciders {
                model,
                policy: Arc::clone(&self.setup.policy),
                lists: Arc::new(Lists::empty()),
            },
        }
    }

    /// The model of the days before: fitted, packed and loaded like a user's.
    fn fitted(&self) -> anyhow::Result<Arc<Model>> {
        let out = self.work.join("features.parquet");
        let before = self.truths.partition_point(|truth| truth.event_ms < self.days.learnt_end_ms);
        let files = Files {
            payments: &self.payments,
            labels: Some(&self.labels),
            out: &out,
            limit: Some(before as u64),
        };
        self.replay(None).run(files, |_, _| {})?;
        let names = self.setup.definitions.names();
        let from = self.truths.partition_point(|truth| truth.event_ms < self.days.learnt_ms);
        let learnt = learnt(&out, &names, from, &self.truths)?;
        let fitted = fit::logistic(&learnt.rows, &learnt.frauds, names.len())?;
        let onnx = self.work.join("model.onnx");
        std::fs::write(&onnx, logistic(&fitted.weights, fitted.intercept))?;
        let facts = Facts {
            name: "review".into(),
            version: Version::parse("1").context("a version")?,
            kind: Kind::Linear,
            features: names.iter().map(|name| name.as_str().into()).collect(),
            output: Output { index: 0, column: Some(0) },
            missing: Missing::Refuse,
            golden_tolerance: 1e-6,
        };
        let golden = learnt.rows.chunks(names.len()).take(2).map(<[f64]>::to_vec).collect::<Vec<_>>();
        let folder = pack(&onnx, &facts, &golden, self.work)?;
        Ok(Arc::new(Model::load(&folder, &names)?))
    }

    /// The alerts of the days that are reviewed, and what each of their payments was scored.
    fn raised(&self, model: Arc<Model>) -> anyhow::Result<Raised> {
        let out = self.work.join("decisions.parquet");
        let files = Files { payments: &self.payments, labels: Some(&self.labels), out: &out, limit: None };
        let (mut alerts, mut scores, mut row) = (Vec::new(), Vec::new(), 0);
        self.replay(Some(model)).run_with(
            files,
            |_, _| {},
            |ruling| {
                let truth = self.truths.get(row).filter(|truth| truth.event_ms >= self.days.reviewed_ms);
                row += 1;
                let (Some(truth), Ruling::Decided(decision, alert)) = (truth, ruling) else { return };
                scores.extend(decision.score.map(|score| (score, truth.fraud)));
                // The queue's time is the payments': an alert is there when its payment was made.
                alerts.extend(
                    alert.as_deref().map(|alert| Alert { raised_at_ms: truth.event_ms, ..alert.clone() }),
                );
            },
        )?;
        Ok(Raised { alerts, scores })
    }
}

fn told(
    world: &Run<'_>,
    alerts: &[Alert],
    scores: &[(f64, bool)],
    caught: &[Caught],
    reviews: u32,
    rules: &Rules,
) -> Reviewed {
    let at = world.truths.partition_point(|truth| truth.event_ms < world.days.reviewed_ms);
    let all = Caught::all(&world.truths[at..]);
    let per_day = |count: usize| count as f64 / REVIEWED_DAYS as f64;
    let area = fit::area_under_curve(scores);
    let mut figures = vec![
        figure("alerts_a_day", "payments a day that raise an alert", per_day(alerts.len())),
        figure("auc", "area under the ROC curve of the scores", area),
        figure("fraud_money", "fraud in all, currency units", all.money_minor as f64 / 100.0),
        figure("fraud_cards", "compromised cards in all", all.cards as f64),
    ];
    let mut table = format!(
        "{REVIEWED_DAYS} days, {reviews} reviews a day spread evenly; {:.0} payments a day raise an alert, {:.0} are \
         fraud ({} cards). Half-life {} h, due after {} h. AUC of the model {area:.3}.\n\n\
         | order | reviews | found fraud | fraud money caught | of all | of that stopped early | compromised cards | of all |\n\
         |---|---:|---:|---:|---:|---:|---:|---:|\n",
        per_day(alerts.len()),
        per_day(world.truths[at..].iter().filter(|truth| truth.fraud).count()),
        all.cards,
        rules.half_life_ms / 3_600_000,
        rules.due_ms / 3_600_000,
    );
    let share = |part: f64, whole: f64| 100.0 * part / whole.max(1.0);
    for (order, one) in Order::ALL.iter().zip(caught) {
        let money = share(one.money_minor as f64, all.money_minor as f64);
        let cards = share(one.cards as f64, all.cards as f64);
        let precision = share(one.found as f64, one.reviews as f64);
        // Writing to a text cannot fail.
        let _ = writeln!(
            table,
            "| {} | {} | {precision:.1} % | {:.0} | {money:.1} % | {:.0} | {} | {cards:.1} % |",
            order.text(),
            one.reviews,
            one.money_minor as f64 / 100.0,
            one.stopped_minor as f64 / 100.0,
            one.cards,
        );
        let name = |what: &str| format!("{}_{what}", order.as_str());
        figures.extend([
            figure(name("reviews"), format!("{}: reviews", order.text()), one.reviews as f64),
            figure(name("found"), format!("{}: reviews that found fraud", order.text()), one.found as f64),
            figure(
                name("money"),
                format!("{}: fraud, currency units", order.text()),
                one.money_minor as f64 / 100.0,
            ),
            figure(
                name("stopped"),
                format!("{}: of that stopped early", order.text()),
                one.stopped_minor as f64 / 100.0,
            ),
            figure(name("cards"), format!("{}: compromised cards", order.text()), one.cards as f64),
        ]);
    }
    Reviewed { table, figures }
}
