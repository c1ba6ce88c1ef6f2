//! The store under the archive: a folder or an S3-compatible bucket, through one small, blocking door.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures_util::TryStreamExt;
use object_store::local::LocalFileSystem;
use object_store::path::Path as ObjectPath;
use object_store::prefix::PrefixStore;
use object_store::{Error, ObjectStore, ObjectStoreExt, PutMode, PutOptions};
use tokio::runtime::{Builder, Runtime};

use super::cutter::Finished;
use super::error::ArchiveError;
use super::manifest::Manifest;
use super::place::{Place, settled};

/// What putting a file came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    /// It was absent.
    New,
    /// It was there with the very bytes.
    Same,
}

/// The store.
#[derive(Debug)]
pub struct ArchiveStore {
    store: Arc<dyn ObjectStore>,
    /// Where it is a folder.
    folder: Option<PathBuf>,
    runtime: Runtime,
    /// Files of each topic as they were listed first, for one who reads while more come.
    listed: Option<Mutex<HashMap<String, Vec<Place>>>>,
}

impl ArchiveStore {
    /// Opens `s3://BUCKET/PREFIX`, whose keys and endpoint are in the environment (`AWS_ACCESS_KEY_ID`,
    /// `AWS_SECRET_ACCESS_KEY`, `AWS_REGION`, `AWS_ENDPOINT_URL`), or a folder, which is made.
    ///
    /// # Errors
    /// When the address leads nowhere.
    pub fn open(address: &str) -> Result<Self, ArchiveError> {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let mut folder = None;
        let store: Arc<dyn ObjectStore> = match address.strip_prefix("s3://") {
            Some(rest) => {
                // An error: the process has one already.
                let _ = tokio_rustls::rustls::crypto::ring::default_provider().install_default();
                let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
                let builder = object_store::aws::AmazonS3Builder::from_env().with_bucket_name(bucket);
                // A store in the house is often reached without TLS; it is said by its address.
                let is_plain = std::env::var("AWS_ENDPOINT_URL").is_ok_and(|url| url.starts_with("http://"));
                let store = builder.with_allow_http(is_plain).build();
                let store = store.map_err(|error| ArchiveError::Address(error.to_string()))?;
                Arc::new(PrefixStore::new(store, ObjectPath::from(prefix)))
            }
            None => {
                let path = Path::new(address.strip_prefix("file://").unwrap_or(address));
                std::fs::create_dir_all(path)?;
                folder = Some(path.to_owned());
                Arc::new(LocalFileSystem::new_with_prefix(path)?.with_automatic_cleanup(true))
            }
        };
        Ok(Self { store, folder, runtime, listed: None })
    }

    /// The same, and each topic stays as it is when it is looked at first.
    #[must_use]
    pub fn as_it_is(self) -> Self {
        Self { listed: Some(Mutex::default()), ..self }
    }

    /// The files of a topic, by partition and first offset; without those whose records are all in a larger one.
    ///
    /// # Errors
    /// When the store does not answer.
    pub fn places(&self, topic: &str) -> Result<Vec<Place>, ArchiveError> {
        let list = || Ok(settled(places_of(&self.paths(topic)?)).0);
        let Some(listed) = &self.listed else { return list() };
        let mut listed = listed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = listed.get(topic) {
            return Ok(known.clone());
        }
        let places: Vec<Place> = list()?;
        listed.insert(topic.to_owned(), places.clone());
        Ok(places)
    }

    /// Every path below a prefix.
    ///
    /// # Errors
    /// When the store does not answer.
    pub fn paths(&self, prefix: &str) -> Result<Vec<String>, ArchiveError> {
        let prefix = ObjectPath::from(prefix);
        let listed = self.runtime.block_on(self.store.list(Some(&prefix)).try_collect::<Vec<_>>())?;
        Ok(listed.into_iter().map(|meta| meta.location.to_string()).collect())
    }

    /// Removes what a kill left of files that were put again since: in a folder a file is written beside its place, as
    /// `NAME#1`, and then moved there. Gives how many there were.
    ///
    /// # Errors
    /// When the folder cannot be read, or one of them not removed.
    pub fn tidy(&self, topic: &str) -> Result<usize, ArchiveError> {
        let Some(folder) =
            self.folder.as_ref().map(|folder| folder.join(topic)).filter(|folder| folder.exists())
        else {
            return Ok(0);
        };
        let (mut folders, mut removed) = (vec![folder], 0);
        while let Some(folder) = folders.pop() {
            // One that is gone was another's, who was faster.
            for entry in there(std::fs::read_dir(folder))?.into_iter().flatten() {
                let path = entry?.path();
                if path.is_dir() {
                    folders.push(path);
                } else if let Some(place) = half_written(&path)
                    && place.exists()
                {
                    removed += usize::from(there(std::fs::remove_file(&path))?.is_some());
                }
            }
        }
        Ok(removed)
    }

    /// A file; `None` when there is none.
    ///
    /// # Errors
    /// When the store does not answer.
    pub fn get(&self, path: &str) -> Result<Option<Bytes>, ArchiveError> {
        let path = ObjectPath::from(path);
        let got = self.runtime.block_on(async { self.store.get(&path).await?.bytes().await });
        match got {
            Ok(bytes) => Ok(Some(bytes)),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Puts a file if there is none; what is there must be the same.
    ///
    /// # Errors
    /// When the store does not answer, or has other bytes under that name.
    pub fn put(&self, path: &str, bytes: Bytes) -> Result<Put, ArchiveError> {
        let at = ObjectPath::from(path);
        let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        match self.runtime.block_on(self.store.put_opts(&at, bytes.clone().into(), options)) {
            Ok(_) => Ok(Put::New),
            Err(Error::AlreadyExists { .. }) => match self.get(path)? {
                Some(there) if there == bytes => Ok(Put::Same),
                _ => Err(ArchiveError::Conflict(path.to_owned())),
            },
            Err(error) => Err(error.into()),
        }
    }

    /// Puts a file and then its manifest: a file without one is not finished.
    ///
    /// # Errors
    /// When the store does not answer, or has other bytes under that name.
    pub fn finish(&self, finished: &Finished) -> Result<(), ArchiveError> {
        self.put(&finished.place.to_string(), finished.bytes.clone())?;
        self.put_manifest(&finished.place, &finished.manifest)
    }

    /// The manifest of a file; `None` while there is none.
    ///
    /// # Errors
    /// When the store does not answer, or it is none.
    pub fn manifest(&self, place: &Place) -> Result<Option<Manifest>, ArchiveError> {
        let path = place.manifest();
        let Some(bytes) = self.get(&path)? else { return Ok(None) };
        let read = serde_json::from_slice(&bytes);
        read.map(Some).map_err(|error| ArchiveError::Damaged { path, why: error.to_string() })
    }

    /// Offsets that each partition had and no file has: from, and up to without it. Its beginning is one where the
    /// archive begins later than the topic.
    ///
    /// # Errors
    /// When the store does not answer.
    pub fn holes(&self, topic: &str) -> Result<Vec<(i32, Range<i64>)>, ArchiveError> {
        let mut next: BTreeMap<i32, i64> = BTreeMap::new();
        let mut holes = Vec::new();
        for place in self.places(topic)? {
            let follows = self.manifest(&place)?.map_or(place.first, |manifest| manifest.follows);
            let next = next.entry(place.partition).or_insert(0);
            if follows > *next {
                holes.push((place.partition, *next..follows));
            }
            *next = place.last + 1;
        }
        Ok(holes)
    }

    fn put_manifest(&self, place: &Place, manifest: &Manifest) -> Result<(), ArchiveError> {
        let text = serde_json::to_vec_pretty(manifest).map_err(std::io::Error::other)?;
        self.put(&place.manifest(), text.into())?;
        Ok(())
    }

    /// Finishes what was put and has no manifest, and says where each partition goes on.
    ///
    /// # Errors
    /// When the store does not answer, or a file is none.
    pub fn adopt(&self, topic: &str) -> Result<BTreeMap<i32, i64>, ArchiveError> {
        let mut next: BTreeMap<i32, i64> = BTreeMap::new();
        let paths = self.paths(topic)?;
        let (standing, _) = settled(places_of(&paths));
        let paths: HashSet<String> = paths.into_iter().collect();
        for place in standing {
            if !paths.contains(&place.manifest()) {
                // It was put whole: only what is said of it is missing.
                let bytes = self.get(&place.to_string())?.unwrap_or_default();
                let follows = next.get(&place.partition).copied().unwrap_or(place.first);
                self.put_manifest(&place, &Manifest::of(&place, &bytes, follows)?)?;
            }
            next.insert(place.partition, place.last + 1);
        }
        Ok(next)
    }

    /// Puts a file over whatever is there.
    ///
    /// # Errors
    /// When the store does not answer.
    pub fn replace(&self, path: &str, bytes: Bytes) -> Result<(), ArchiveError> {
        let at = ObjectPath::from(path);
        self.runtime.block_on(self.store.put(&at, bytes.into()))?;
        Ok(())
    }

    /// Removes a file; one that is not there is removed already.
    ///
    /// # Errors
    /// When the store does not answer.
    pub fn remove(&self, path: &str) -> Result<(), ArchiveError> {
        match self.runtime.block_on(self.store.delete(&ObjectPath::from(path))) {
            Ok(()) | Err(Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// The files among these paths.
pub(super) fn places_of(paths: &[String]) -> Vec<Place> {
    paths.iter().filter_map(|path| Place::parse(path)).collect()
}

fn there<T>(done: std::io::Result<T>) -> std::io::Result<Option<T>> {
    match done {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        done => done.map(Some),
    }
}

/// Where a file was to be that was not written to its end, by its name.
fn half_written(path: &Path) -> Option<PathBuf> {
    let (name, number) = path.file_name()?.to_str()?.rsplit_once('#')?;
    number.parse::<u32>().ok().map(|_| path.with_file_name(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_kill_left_goes_once_the_file_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let day = folder.path().join("payments/dt=2026-01-01");
        std::fs::create_dir_all(&day).unwrap();
        let write = |name: &str| std::fs::write(day.join(name), b"x").unwrap();
        ["a.parquet", "a.parquet#1", "b.parquet#12", "c#d"].into_iter().for_each(write);
        let store = ArchiveStore::open(&folder.path().display().to_string()).unwrap();
        assert_eq!((store.tidy("payments").unwrap(), store.tidy("labels").unwrap()), (1, 0));
        write("b.parquet");
        assert_eq!(store.tidy("payments").unwrap(), 1);
        let left = std::fs::read_dir(&day).unwrap().count();
        assert_eq!(left, 3, "what is no half of a file stays");
    }
}
