//! Wakes readers when something happens in the directory of their log. One watcher serves all of them: the number of
//! inotify instances is limited. It only wakes; what happened is decided by `stat`, and where no wake comes (network
//! mounts, some Docker binds, exhausted limits) the poll interval does.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use notify::event::ModifyKind;
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;
use tracing::{debug, warn};

use super::siblings::parent;
use crate::domain::FileId;

/// The shared watcher. Clones share it.
#[derive(Debug, Clone)]
pub struct Wakes {
    shared: Option<Arc<Shared>>,
}

/// Wakes one reader. Dropping it ends the watching of a directory nobody else waits for.
#[derive(Debug)]
pub struct Wake {
    shared: Option<Arc<Shared>>,
    bell: Arc<Notify>,
    /// The log and, where that is a symlink, its target.
    paths: Vec<PathBuf>,
    log: PathBuf,
    /// All its directories have a watch.
    complete: bool,
}

#[derive(Debug)]
struct Shared {
    /// Locked while a watch is added, which waits for the watcher's thread; so never together with `bells`.
    watched: Mutex<Watched>,
    /// Locked by the watcher's thread.
    bells: Arc<Mutex<Bells>>,
}

#[derive(Debug)]
struct Watched {
    watcher: RecommendedWatcher,
    /// Which directory each watch was put on: a directory that was made anew needs a new one.
    directories: HashMap<PathBuf, FileId>,
    /// A limit is said once.
    warned: bool,
}

/// Who waits for what.
#[derive(Debug, Default)]
struct Bells {
    /// By directory, and there by file: a directory may have a thousand logs, each of which makes events.
    waiting: HashMap<PathBuf, HashMap<PathBuf, Vec<Arc<Notify>>>>,
    /// Directories that were removed or renamed; one made anew may have the inode of the old one.
    gone: HashSet<PathBuf>,
}

impl Default for Wakes {
    fn default() -> Self {
        Self::new()
    }
}

impl Wakes {
    /// Starts the watcher. Where that fails, it is said once and only polls find new lines.
    #[must_use]
    pub fn new() -> Self {
        let bells = Arc::new(Mutex::new(Bells::default()));
        let ringing = bells.clone();
        match notify::recommended_watcher(move |event| lock(&ringing).ring(event)) {
            Ok(notifier) => {
                let watched = Mutex::new(Watched { watcher: notifier, directories: HashMap::new(), warned: false });
                Self { shared: Some(Arc::new(Shared { watched, bells })) }
            }
            Err(error) => {
                warn_of_limit(&error);
                Self::disabled()
            }
        }
    }

    /// No watcher: every reader polls.
    #[must_use]
    pub fn disabled() -> Self {
        Self { shared: None }
    }

    /// Wakes for one log. The watch itself is put by [`Wake::refresh`].
    #[must_use]
    pub fn subscribe(&self, log: &Path) -> Wake {
        Wake {
            complete: self.shared.is_none(),
            shared: self.shared.clone(),
            bell: Arc::new(Notify::new()),
            paths: Vec::new(),
            log: log.to_owned(),
        }
    }
}

impl Wake {
    /// Returns when something happened to the log since the last call; never where nothing is watched.
    pub async fn woken(&self) {
        self.bell.notified().await;
    }

    /// Watches what is to be watched now: a directory that did not exist, one that was made anew, the target of a
    /// symlink that was swapped. It looks at the file system, so it may block.
    pub fn refresh(&mut self) {
        let Some(shared) = self.shared.clone() else { return };
        let mut paths = vec![self.log.clone()];
        if self.log.is_symlink() {
            paths.extend(fs::canonicalize(&self.log).ok().filter(|target| *target != self.log));
        }
        if paths != self.paths {
            self.unsubscribe(&shared);
            let mut bells = lock(&shared.bells);
            for path in &paths {
                bells.add(path, &self.bell);
            }
            self.paths = paths;
        }
        // What happened before a watch was put made no event: look at the log after this, not before.
        self.complete = self.paths.iter().all(|path| shared.watch(parent(path)));
    }

    /// False while something is not watched, so that [`Wake::refresh`] is worth a try.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.complete
    }

    fn unsubscribe(&self, shared: &Shared) {
        let deserted = lock(&shared.bells).remove(&self.paths, &self.bell);
        // A busy watcher keeps a watch that rings for nobody.
        if let Some(mut watched) = shared.try_watched() {
            for directory in &deserted {
                watched.forget(directory);
            }
        }
    }
}

impl Drop for Wake {
    fn drop(&mut self) {
        if let Some(shared) = &self.shared {
            self.unsubscribe(shared);
        }
    }
}

impl Shared {
    /// `None` while another reader puts a watch. It may hang on a dead mount, and must not take the others with it;
    /// they try again at their next refresh.
    fn try_watched(&self) -> Option<MutexGuard<'_, Watched>> {
        match self.watched.try_lock() {
            Ok(watched) => Some(watched),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// Puts a watch on a directory that has none. False when that could not be done now.
    fn watch(&self, directory: &Path) -> bool {
        let Ok(metadata) = fs::metadata(directory) else { return false };
        let id = FileId { device: metadata.dev(), inode: metadata.ino() };
        let Some(mut watched) = self.try_watched() else { return false };
        if lock(&self.bells).gone.remove(directory) {
            watched.forget(directory);
        }
        watched.put(directory, id)
    }
}

impl Watched {
    fn put(&mut self, directory: &Path, id: FileId) -> bool {
        match self.directories.get(directory) {
            Some(watched) if *watched == id => return true,
            Some(_) => self.forget(directory),
            None => {}
        }
        match self.watcher.watch(directory, RecursiveMode::NonRecursive) {
            Ok(()) => {
                self.directories.insert(directory.to_owned(), id);
                true
            }
            Err(error) => {
                if !std::mem::replace(&mut self.warned, true) {
                    warn_of_limit(&error);
                }
                false
            }
        }
    }

    fn forget(&mut self, directory: &Path) {
        if self.directories.remove(directory).is_some()
            && let Err(error) = self.watcher.unwatch(directory)
        {
            // The kernel drops the watch of a directory that is gone by itself.
            debug!(directory = %directory.display(), %error, "A watch was gone already");
        }
    }
}

fn warn_of_limit(error: &notify::Error) {
    warn!(
        %error,
        "Logs cannot be watched, so new lines are found by polling only; \
         raise fs.inotify.max_user_instances and fs.inotify.max_user_watches for less delay"
    );
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Bells {
    fn add(&mut self, path: &Path, bell: &Arc<Notify>) {
        let beside = self.waiting.entry(parent(path).to_owned()).or_default();
        beside.entry(path.to_owned()).or_default().push(bell.clone());
    }

    /// Takes a bell away; returns the directories nobody waits for any more.
    fn remove(&mut self, paths: &[PathBuf], bell: &Arc<Notify>) -> Vec<PathBuf> {
        let mut deserted = Vec::new();
        for path in paths {
            let directory = parent(path);
            let Some(beside) = self.waiting.get_mut(directory) else { continue };
            let shared = beside.get_mut(path).is_some_and(|bells| {
                bells.retain(|other| !Arc::ptr_eq(bell, other));
                !bells.is_empty()
            });
            if !shared {
                beside.remove(path);
            }
            if beside.is_empty() {
                self.waiting.remove(directory);
                deserted.push(directory.to_owned());
            }
        }
        deserted
    }

    /// Wakes whom an event concerns. Reads make events too, our own among them: those wake nobody.
    fn ring(&mut self, event: notify::Result<Event>) {
        let event = match event {
            Ok(event) if matches!(event.kind, EventKind::Access(_)) => return,
            Ok(event) if !event.need_rescan() && !event.paths.is_empty() => event,
            // Events were lost, or the watcher failed: anything may have happened.
            _ => return self.waiting.values().for_each(ring_all),
        };
        for path in &event.paths {
            let concerned = self.waiting.get(parent(path)).and_then(|beside| beside.get(path));
            concerned.into_iter().flatten().for_each(|bell| bell.notify_one());
            if let Some(within) = self.waiting.get(path).filter(|_| makes_or_ends(event.kind)) {
                ring_all(within);
                self.gone.insert(path.clone());
            }
        }
    }
}

fn ring_all(within: &HashMap<PathBuf, Vec<Arc<Notify>>>) {
    within.values().flatten().for_each(|bell| bell.notify_one());
}

fn makes_or_ends(kind: EventKind) -> bool {
    matches!(kind, EventKind::Remove(_) | EventKind::Create(_) | EventKind::Modify(ModifyKind::Name(_)))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::FutureExt;
    use tokio::time::timeout;

    use super::*;

    const DEADLINE: Duration = Duration::from_secs(20);

    fn watching(wakes: &Wakes, log: &Path) -> Wake {
        let mut wake = wakes.subscribe(log);
        wake.refresh();
        assert!(wake.is_complete());
        wake
    }

    #[tokio::test]
    async fn an_append_wakes_the_reader_of_that_log() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("console.log");
        let wake = watching(&Wakes::new(), &log);
        fs::write(&log, "line\n").unwrap();
        timeout(DEADLINE, wake.woken()).await.unwrap();
    }

    #[tokio::test]
    async fn reading_the_log_wakes_nobody() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("console.log");
        fs::write(&log, "line\n").unwrap();
        let wakes = Wakes::new();
        let wake = watching(&wakes, &log);
        let fence = watching(&wakes, &dir.path().join("fence"));
        fs::read(&log).unwrap();
        fs::write(dir.path().join("fence"), "x").unwrap();
        timeout(DEADLINE, fence.woken()).await.unwrap();
        assert!(timeout(Duration::ZERO, wake.woken()).await.is_err());
    }

    #[tokio::test]
    async fn two_logs_in_one_directory_share_a_watch_and_the_last_one_ends_it() {
        let dir = tempfile::tempdir().unwrap();
        let wakes = Wakes::new();
        let a = watching(&wakes, &dir.path().join("a.log"));
        let b = watching(&wakes, &dir.path().join("b.log"));
        let watched = || lock(&wakes.shared.as_ref().unwrap().watched).directories.len();
        assert_eq!(watched(), 1);
        drop(a);
        assert_eq!(watched(), 1);
        fs::write(dir.path().join("b.log"), "line\n").unwrap();
        timeout(DEADLINE, b.woken()).await.unwrap();
        drop(b);
        assert_eq!(watched(), 0);
    }

    #[tokio::test]
    async fn a_directory_removed_and_made_anew_is_watched_again() {
        let dir = tempfile::tempdir().unwrap();
        let logs = dir.path().join("logs");
        fs::create_dir(&logs).unwrap();
        let log = logs.join("console.log");
        let mut wake = watching(&Wakes::new(), &log);
        fs::rename(&logs, dir.path().join("former")).unwrap();
        timeout(DEADLINE, wake.woken()).await.unwrap();
        fs::create_dir(&logs).unwrap();
        wake.refresh();
        assert!(wake.is_complete());
        fs::write(&log, "line\n").unwrap();
        timeout(DEADLINE, wake.woken()).await.unwrap();
    }

    #[tokio::test]
    async fn the_target_of_a_symlink_is_watched() {
        let dir = tempfile::tempdir().unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        let target = elsewhere.path().canonicalize().unwrap().join("target.log");
        fs::write(&target, "").unwrap();
        let log = dir.path().join("console.log");
        std::os::unix::fs::symlink(&target, &log).unwrap();
        let wake = watching(&Wakes::new(), &log);
        fs::write(&target, "line\n").unwrap();
        timeout(DEADLINE, wake.woken()).await.unwrap();
    }

    #[test]
    fn lost_events_wake_everybody() {
        let bell = Arc::new(Notify::new());
        let mut bells = Bells::default();
        bells.add(Path::new("/logs/a.log"), &bell);
        bells.ring(Ok(Event::new(EventKind::Other).set_flag(notify::event::Flag::Rescan)));
        assert!(bell.notified().now_or_never().is_some());
    }
}
