//! The model's folder, watched: `<models.path>/<models.live>/<version>/`. The highest version that is good is live.
//!
//! A version that appears is loaded and checked beside the line, with a deadline, and swapped in between two batches.
//! One that is bad is refused with its reason, once, and the old one serves on. A version that is live is never
//! replaced by other files of the same name: a version means one thing for ever.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, SystemTime};

use models::{Live, MANIFEST_FILE, Model, ONNX_FILE, Version};
use schemas::problem::{Problem, Problems};

use crate::config::Setup;

/// What happened to a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ModelEvent {
    /// A version is live now.
    Swapped {
        /// The one before, if any.
        from: Option<String>,
        /// `name/version`.
        to: String,
    },
    /// A version was refused; what was live stays.
    Refused {
        /// `name/version`.
        version: String,
        /// Why.
        reason: String,
    },
}

/// How often a waiting thread looks whether it should stop.
const STEP: Duration = Duration::from_millis(100);

/// Sizes and times of a version's two files: when they change, it is looked at again.
type Stamp = [Option<(u64, Option<SystemTime>)>; 2];

/// A model's folder.
#[derive(Debug, Clone)]
pub struct ModelFolder {
    folder: PathBuf,
    name: String,
    feature_names: Arc<Vec<String>>,
    watch: Duration,
    load_timeout: Duration,
    /// Stamps of the versions seen, and whether each was tried as it is.
    seen: BTreeMap<Version, (Stamp, bool)>,
}

impl ModelFolder {
    /// The folder of the config, if it names a model.
    pub fn of(setup: &Setup) -> Option<Self> {
        let models = setup.config.models.as_ref()?;
        Some(Self {
            folder: models.path.join(&models.live),
            name: models.live.clone(),
            feature_names: Arc::new(setup.definitions.names()),
            watch: models.watch.std(),
            load_timeout: models.load_timeout.std(),
            seen: BTreeMap::new(),
        })
    }

    /// Loads the highest version that is good.
    ///
    /// # Errors
    /// When none is: each version with the reason why not.
    pub fn open(&mut self) -> Result<Arc<Model>, Problems> {
        let mut problems = Problems::default();
        for version in self.versions() {
            // Untried as far as the watcher knows: its first look tells of a higher version that was passed over.
            let stamp = self.stamp(&version);
            self.seen.insert(version.clone(), (stamp, false));
            match self.load(&version, &AtomicBool::new(false)) {
                Ok(model) => return Ok(model),
                Err(reason) => {
                    let place = self.folder.join(version.as_str()).display().to_string();
                    problems.0.push(Problem::new(
                        place,
                        "the model",
                        reason,
                        "a model directory that can be loaded",
                    ));
                }
            }
        }
        if problems.0.is_empty() {
            let place = self.folder.display().to_string();
            let expected = format!("at least one folder VERSION/ with {MANIFEST_FILE} and {ONNX_FILE}");
            problems.0.push(Problem::new(place, "models.live", "no version", expected));
        }
        Err(problems)
    }

    /// Looks at the folder again and again until told to stop.
    pub fn watch(mut self, live: &Live, stop: &AtomicBool, mut tell: impl FnMut(ModelEvent)) {
        while !stop.load(Ordering::Relaxed) {
            self.look(live, stop, &mut tell);
            // In steps, so that a long interval does not hold up the end.
            let mut left = self.watch;
            while !left.is_zero() && !stop.load(Ordering::Relaxed) {
                let step = left.min(STEP);
                std::thread::sleep(step);
                left -= step;
            }
        }
    }

    /// One look: tries the highest version above the live one that is new or has changed, and holds still.
    fn look(&mut self, live: &Live, stop: &AtomicBool, tell: &mut impl FnMut(ModelEvent)) {
        let now = live.get();
        for version in self.versions() {
            if now.as_ref().is_some_and(|now| version <= *now.version()) {
                return;
            }
            let stamp = self.stamp(&version);
            match self.seen.get(&version) {
                Some((known, true)) if *known == stamp => continue,
                // Seen twice the same: nobody is copying it any more.
                Some((known, false)) if *known == stamp && stamp.iter().all(Option::is_some) => {}
                _ => {
                    self.seen.insert(version, (stamp, false));
                    continue;
                }
            }
            self.seen.insert(version.clone(), (stamp, true));
            match self.load(&version, stop) {
                _ if stop.load(Ordering::Relaxed) => return,
                Ok(model) => {
                    let to = model.id().to_string();
                    live.set(Some(model));
                    tell(ModelEvent::Swapped { from: now.map(|now| now.id().to_string()), to });
                    return;
                }
                Err(reason) => {
                    let version = format!("{}/{}", self.name, version.as_str());
                    tell(ModelEvent::Refused { version, reason });
                }
            }
        }
    }

    /// The versions that there are, highest first.
    fn versions(&self) -> Vec<Version> {
        let entries = std::fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let mut versions: Vec<_> =
            entries.filter_map(|entry| Version::parse(entry.file_name().to_str()?)).collect();
        versions.sort();
        versions.reverse();
        versions
    }

    fn stamp(&self, version: &Version) -> Stamp {
        [MANIFEST_FILE, ONNX_FILE].map(|file| {
            let facts = std::fs::metadata(self.folder.join(version.as_str()).join(file)).ok()?;
            Some((facts.len(), facts.modified().ok()))
        })
    }

    /// Loads a version, within the deadline.
    fn load(&self, version: &Version, stop: &AtomicBool) -> Result<Arc<Model>, String> {
        let (dir, names) = (self.folder.join(version.as_str()), Arc::clone(&self.feature_names));
        let load = move || Model::load(&dir, &names).map_err(|error| error.to_string());
        let model = in_time(self.load_timeout, stop, load)?;
        self.belongs(&model, version)?;
        Ok(Arc::new(model))
    }

    fn belongs(&self, model: &Model, version: &Version) -> Result<(), String> {
        let found = model.id().as_str();
        let expected = format!("{}/{}", self.name, version.as_str());
        if found == expected {
            Ok(())
        } else {
            Err(format!("its manifest says {found}, its folder {expected}"))
        }
    }
}

/// Does the work in a thread of its own. One that does not come back is left behind; so is one that is not wanted
/// any more, since it may take longer than the process has left.
fn in_time<T: Send + 'static>(
    limit: Duration,
    stop: &AtomicBool,
    work: impl FnOnce() -> Result<T, String> + Send + 'static,
) -> Result<T, String> {
    let (tell, told) = channel();
    // Nobody listens any more after the deadline.
    let worker = move || _ = tell.send(work());
    let thread = std::thread::Builder::new().name("model loader".to_owned()).spawn(worker);
    thread.map_err(|error| format!("no thread to load it: {error}"))?;
    let mut left = limit;
    loop {
        let step = left.min(STEP);
        match told.recv_timeout(step) {
            Ok(done) => return done,
            Err(RecvTimeoutError::Disconnected) => return Err("its loader panicked".to_owned()),
            Err(RecvTimeoutError::Timeout) => left -= step,
        }
        if left.is_zero() {
            return Err(format!("it did not load within {limit:?}"));
        }
        if stop.load(Ordering::Relaxed) {
            return Err("the service is stopping".to_owned());
        }
    }
}

#[cfg(test)]
mod tests;
