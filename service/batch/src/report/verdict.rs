//! The verdict in words, first of all, and how much was looked at.

use maud::{Markup, html};

use super::{classes, number, palette::UNEXPLAINED};
use crate::numbers::Numbers;

/// What a run comes to.
struct Verdict {
    tone: &'static str,
    /// Path of the sign in a 24 by 24 square: nobody has to see the colour.
    sign: &'static str,
    words: String,
    said: String,
}

/// The panel at the top: the verdict, and the first of what is unexplained.
pub(super) fn panel(numbers: &Numbers) -> Markup {
    let verdict = Verdict::of(numbers);
    let worst = numbers.classes.iter().find(|class| class.class == UNEXPLAINED);
    html! {
        section.panel.verdict data-tone=(verdict.tone) aria-labelledby="verdict" {
            svg viewBox="0 0 24 24" aria-hidden="true" fill="none" stroke="currentColor" stroke-width="2"
                stroke-linecap="round" stroke-linejoin="round" {
                circle cx="12" cy="12" r="10" {}
                path d=(verdict.sign) {}
            }
            h1 #verdict { (verdict.words) }
            p.said { (verdict.said) }
            @if let Some(class) = worst.filter(|class| !class.examples.is_empty()) {
                (classes::examples(&class.examples, "The first that nothing explains"))
            }
        }
    }
}

impl Verdict {
    fn of(numbers: &Numbers) -> Self {
        let unexplained = unexplained(numbers);
        let lost = numbers.conservation.iter().fold(0_u64, |sum, one| sum.saturating_add(one.unaccounted));
        let compared = numbers.checks.iter().any(|check| check.compared > 0);
        let payments = numbers.records.get("payments").copied().unwrap_or_default();
        let words = format!(
            "{} in {}",
            number::counted(unexplained, "unexplained difference"),
            number::counted(payments, "payment")
        );
        let lost_words = format!("{} unaccounted for", number::counted(lost, "record"));
        if unexplained > 0 || lost > 0 {
            let words = if lost > 0 { format!("{words}, {lost_words}") } else { words };
            let said = "The live answers are not proved: each of these is a defect, of the service, of the archive or of the \
                        batch job, until somebody knows better.";
            return Self { tone: "decline", sign: "M8 8l8 8M16 8l-8 8", words, said: said.to_owned() };
        }
        if !compared {
            let said = "No check compared anything, so this run proves nothing: see whether the archive has these days.";
            return Self {
                tone: "review",
                sign: "M12 7v6M12 16.6v.1",
                words: "Nothing was compared".to_owned(),
                said: said.to_owned(),
            };
        }
        Self { tone: "approve", sign: "M7.5 12.5l3 3 6-7", words, said: explained(numbers) }
    }
}

/// As the checks count them or as the classes do, whichever is more: they should agree, and a report hides nothing.
fn unexplained(numbers: &Numbers) -> u64 {
    let checks = numbers.checks.iter().fold(0_u64, |sum, check| sum.saturating_add(check.unexplained));
    let classes = numbers.classes.iter().filter(|class| class.class == UNEXPLAINED);
    checks.max(classes.fold(0, |sum, class| sum.saturating_add(class.count)))
}

fn explained(numbers: &Numbers) -> String {
    let found: Vec<_> = numbers.classes.iter().filter(|class| class.count > 0).collect();
    let count = found.iter().fold(0_u64, |sum, class| sum.saturating_add(class.count));
    match found.len() {
        0 => "The batch job came to the same answers as the service, to the last bit.".to_owned(),
        1 => format!("{}, all of one named class.", number::counted(count, "difference")),
        classes => {
            format!("{}, each in one of {classes} named classes.", number::counted(count, "difference"))
        }
    }
}

/// How much was looked at, and what is corrected.
pub(super) fn figures(numbers: &Numbers) -> Markup {
    const TOPICS: [&str; 5] = ["payments", "labels", "decisions", "alerts", "dead_letters"];
    let known = TOPICS.iter().filter_map(|topic| numbers.records.get_key_value(*topic));
    let others = numbers.records.iter().filter(|(topic, _)| !TOPICS.contains(&topic.as_str()));
    html! {
        dl.figures aria-label="Records that were looked at, and corrections" {
            @for (topic, records) in known.chain(others) {
                div.panel { dt { (number::spoken(topic)) } dd { (number::grouped(*records)) } }
            }
            div.panel {
                dt { "corrections" }
                dd { (number::grouped(numbers.corrections.count)) }
                @if !numbers.corrections.amount_minor.is_empty() { dd.sum { (number::money(&numbers.corrections)) } }
            }
        }
    }
}
