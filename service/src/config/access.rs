//! `[access]`: who may, as far as the config says it; the keys stand in a file of their own.

use std::path::Path;

use schemas::document::Section;
use schemas::problem::Problems;
use schemas::time::{DurationMs, HOUR_MS, SECOND_MS};

use super::{read, text};
use crate::access::{Callers, Scope, Scopes, Terms};
use crate::reload::Watched;

/// Who may.
#[derive(Debug, Clone)]
pub struct AccessConfig {
    /// Everybody who has a key; nobody where no file is named.
    pub callers: Callers,
    /// The keys file; `None` where none is named.
    pub file: Option<Watched>,
    /// What holds for callers of whom the file does not say otherwise.
    pub terms: Terms,
    /// How often the file is looked at.
    pub watch: DurationMs,
}

impl AccessConfig {
    /// Reads the section, whose problems are reported to its sink; those of the keys file go to `more`.
    pub(super) fn read(mut section: Section, folder: &Path, more: &mut Problems) -> Option<Self> {
        let is_there = section.has("keys");
        let keys = text::named(&mut section, "keys", folder, "a TOML file in UTF-8");
        let rate = section.required("rate");
        let anonymous = anonymous(&mut section);
        let watch = read::time(&mut section, "watch", SECOND_MS..=HOUR_MS);
        // What is wrong with the section does not hide what is wrong with the file: any terms do for that.
        let terms = Terms { rate: rate.unwrap_or(Terms::ANY), anonymous: anonymous.unwrap_or_default() };
        let callers = match &keys {
            None if is_there => None,
            None => Some(Callers::nobody(terms.anonymous)),
            Some((path, text)) => Callers::read(&path.display().to_string(), text, terms, None)
                .map_err(|problems| more.0.extend(problems.0))
                .ok(),
        };
        let file = keys.map(|(path, text)| Watched::new(vec![path], &[&text]));
        rate.and(anonymous)?;
        Some(Self { callers: callers?, file, terms, watch: watch? })
    }
}

fn anonymous(section: &mut Section) -> Option<Scopes> {
    let words: Vec<String> = section.required("anonymous")?;
    let scope = |word: &String| Scope::parse(word).filter(|scope| scope.may_be_anonymous());
    if let Some(wrong) = words.iter().find(|word| scope(word).is_none()) {
        let all: Vec<_> = Scope::ALL.into_iter().filter(|scope| scope.may_be_anonymous()).collect();
        let names: Vec<_> = all.into_iter().map(Scope::as_str).collect();
        section.report("anonymous", format!("\"{wrong}\""), format!("some of {}", names.join(", ")));
        return None;
    }
    Some(Scopes::of(&words.iter().filter_map(scope).collect::<Vec<_>>()))
}
