//! One text for all who scrape at the same time, and no more texts at a time than memory is for.
//!
//! A thousand servers make a text of megabytes. Who asks while it is written gets the same one; it is written on a
//! thread that may block; and who reads it too slowly is cut off.

use std::io;
use std::sync::{Arc, PoisonError, Weak};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures_util::stream;
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::{Instant, timeout};

/// Texts that are written or read at the same time.
const TEXTS: usize = 4;

/// How long a reader may take. Prometheus gives up after ten seconds by default.
const READING: Duration = Duration::from_secs(30);

/// What is handed to the connection at a time.
const CHUNK: usize = 64 * 1024;

/// The scrapes under way. Clones share them.
#[derive(Debug, Clone)]
pub(super) struct Scrapes {
    last: Arc<Mutex<Weak<Text>>>,
    room: Arc<Semaphore>,
    /// What the text before was written in. Made anew for each, megabytes would lie in the heaps of many threads.
    spare: Arc<Spare>,
    reading: Duration,
}

/// The buffer of a text that nobody reads any more.
type Spare = std::sync::Mutex<Option<String>>;

/// What a scrape reads.
#[derive(Debug)]
struct Text {
    begun: Instant,
    written: String,
    spare: Arc<Spare>,
    _room: OwnedSemaphorePermit,
}

impl Drop for Text {
    fn drop(&mut self) {
        let mut buffer = std::mem::take(&mut self.written);
        buffer.clear();
        *self.spare.lock().unwrap_or_else(PoisonError::into_inner) = Some(buffer);
    }
}

impl Default for Scrapes {
    fn default() -> Self {
        Self { last: Arc::default(), room: Arc::new(Semaphore::new(TEXTS)), spare: Arc::default(), reading: READING }
    }
}

impl Scrapes {
    /// The answer's body: what `write` adds to an empty text, or added for another who asked, but not before this was called.
    /// Waits while there is no room for one more text.
    ///
    /// # Errors
    /// When `write` panicked.
    pub(super) async fn body(&self, write: impl FnOnce(&mut String) + Send + 'static) -> anyhow::Result<Body> {
        let text = self.text(write).await?;
        Ok(body(text, self.reading))
    }

    async fn text(&self, write: impl FnOnce(&mut String) + Send + 'static) -> anyhow::Result<Arc<Text>> {
        let asked = Instant::now();
        let mut last = self.last.lock().await;
        if let Some(text) = last.upgrade().filter(|text| text.begun >= asked) {
            return Ok(text);
        }
        let room = Arc::clone(&self.room).acquire_owned().await?;
        let begun = Instant::now();
        let spare = Arc::clone(&self.spare);
        let write = move || {
            let mut written = spare.lock().unwrap_or_else(PoisonError::into_inner).take().unwrap_or_default();
            write(&mut written);
            Text { begun, written, spare, _room: room }
        };
        let text = Arc::new(tokio::task::spawn_blocking(write).await?);
        *last = Arc::downgrade(&text);
        Ok(text)
    }
}

/// The text in pieces. Only a task of its own holds it, until the reader has it all, is gone, or has taken too long.
fn body(text: Arc<Text>, reading: Duration) -> Body {
    let (done, over) = oneshot::channel::<()>();
    let rest = Arc::downgrade(&text);
    tokio::spawn(async move {
        // Whatever ends first.
        drop(timeout(reading, over).await);
        drop(text);
    });
    let pieces = stream::try_unfold((0, rest, done), |(from, rest, done)| async move {
        let Some(text) = rest.upgrade() else { return Err(io::Error::from(io::ErrorKind::TimedOut)) };
        let bytes = text.written.as_bytes();
        let end = bytes.len().min(from + CHUNK);
        let piece = Bytes::copy_from_slice(&bytes[from..end]);
        Ok((from < end).then_some((piece, (end, rest, done))))
    });
    Body::from_stream(pieces)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use axum::body::to_bytes;
    use futures_util::StreamExt as _;
    use futures_util::future::join_all;

    use super::*;

    const LONG: Duration = Duration::from_secs(10);

    async fn read(body: Body) -> String {
        let bytes = timeout(LONG, to_bytes(body, usize::MAX)).await.expect("it does not hang").unwrap();
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    #[tokio::test]
    async fn a_text_arrives_whole_whatever_its_length() {
        for length in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK] {
            let text: String = ('a'..='z').cycle().take(length).collect();
            let (scrapes, wanted) = (Scrapes::default(), text.clone());
            assert!(
                read(scrapes.body(move |into| into.push_str(&text)).await.unwrap()).await == wanted,
                "{length} bytes"
            );
        }
    }

    #[tokio::test]
    async fn who_asks_at_the_same_time_gets_the_same_text() {
        let (scrapes, written) = (Scrapes::default(), Arc::new(AtomicUsize::new(0)));
        let bodies = join_all((0..100).map(|_| {
            let written = Arc::clone(&written);
            scrapes.body(move |into| into.extend(["text ", &written.fetch_add(1, Ordering::Relaxed).to_string()]))
        }));
        let bodies = timeout(LONG, bodies).await.expect("none waits for another's reader");
        // The first began before the others asked; the second was written for all of them.
        assert!(written.load(Ordering::Relaxed) <= 2, "{written:?}");
        for body in bodies {
            assert!(read(body.unwrap()).await.starts_with("text "));
        }
    }

    #[tokio::test]
    async fn who_asks_later_gets_what_is_so_then() {
        let scrapes = Scrapes::default();
        let kept = scrapes.body(|into| into.push_str("before")).await.unwrap();
        assert_eq!(read(scrapes.body(|into| into.push_str("now")).await.unwrap()).await, "now");
        assert_eq!(read(kept).await, "before");
    }

    #[tokio::test]
    async fn readers_who_read_nothing_hold_four_texts_and_no_more() {
        let scrapes = Scrapes::default();
        let mut idle = Vec::new();
        for _ in 0..TEXTS {
            idle.push(scrapes.body(|into| into.push_str(&"x".repeat(2 * CHUNK))).await.unwrap());
        }
        let fifth = scrapes.body(|into| into.push_str("fifth"));
        let mut fifth = std::pin::pin!(fifth);
        timeout(Duration::from_millis(50), &mut fifth).await.expect_err("there is room for four");
        idle.pop();
        assert_eq!(read(timeout(LONG, fifth).await.expect("there is room again").unwrap()).await, "fifth");
    }

    #[tokio::test]
    async fn who_reads_too_slowly_is_cut_off_and_gives_the_room_back() {
        let scrapes = Scrapes { reading: Duration::from_millis(20), ..Scrapes::default() };
        let slow = scrapes.body(|into| into.push_str(&"x".repeat(3 * CHUNK))).await.unwrap();
        let mut slow = slow.into_data_stream();
        assert_eq!(slow.next().await.unwrap().unwrap().len(), CHUNK);
        let all = timeout(LONG, scrapes.room.acquire_many(u32::try_from(TEXTS).unwrap()));
        drop(all.await.expect("the text is let go").unwrap());
        assert!(slow.next().await.unwrap().is_err(), "and the reader learns that it is not whole");
    }

    #[tokio::test]
    async fn texts_one_after_the_other_are_written_in_one_buffer() {
        let scrapes = Scrapes::default();
        let mut places = Vec::new();
        for number in 0..3 {
            let (place, seen) = std::sync::mpsc::channel();
            let body = scrapes.body(move |into| {
                into.reserve(CHUNK);
                into.push_str(&number.to_string());
                place.send(into.as_ptr() as usize).unwrap();
            });
            assert_eq!(read(body.await.unwrap()).await, number.to_string());
            places.push(seen.recv().unwrap());
            // The task that held the text lets go of it.
            drop(timeout(LONG, scrapes.room.acquire_many(u32::try_from(TEXTS).unwrap())).await.unwrap().unwrap());
        }
        assert!(places.iter().all(|place| *place == places[0]), "{places:?}");
    }

    #[tokio::test]
    async fn a_writer_that_panics_leaves_room_for_the_next() {
        let scrapes = Scrapes::default();
        for _ in 0..=TEXTS {
            assert!(scrapes.body(|_| panic!("in the writer")).await.is_err());
        }
        assert_eq!(read(scrapes.body(|into| into.push_str("fine")).await.unwrap()).await, "fine");
    }
}
