//! The files of the status page: kept by browsers for ever, under a name that changes with them.

use axum::extract::RawQuery;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::headers::close_after;

/// The style sheet.
pub(super) const STYLE: Asset = Asset::new("/status.css", "text/css; charset=utf-8", include_str!("page/status.css"));

/// The script.
pub(super) const SCRIPT: Asset =
    Asset::new("/status.js", "text/javascript; charset=utf-8", include_str!("page/status.js"));

/// The icon in the browser's tab.
pub(super) const ICON: Asset = Asset::new("/favicon.svg", "image/svg+xml", include_str!("page/favicon.svg"));

/// For a name that stands for this content.
const FOR_EVER: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");

/// For a name that stays while the content changes.
const ASK_AGAIN: HeaderValue = HeaderValue::from_static("no-cache");

/// A file that is part of the program.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asset {
    pub(super) path: &'static str,
    kind: &'static str,
    content: &'static str,
    hash: u64,
}

impl Asset {
    const fn new(path: &'static str, kind: &'static str, content: &'static str) -> Self {
        Self { path, kind, content, hash: fnv1a(content.as_bytes()) }
    }

    /// Its name for this content.
    pub(super) fn url(&self) -> String {
        format!("{}?v={:016x}", self.path, self.hash)
    }

    /// Answers with it, or that it is still the same.
    pub(super) fn answer(&self, RawQuery(query): RawQuery, headers: &HeaderMap) -> Response {
        let tag = format!("\"{:016x}\"", self.hash);
        let named = query.is_some_and(|query| query == format!("v={:016x}", self.hash));
        let known = headers.get(header::IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes());
        let kept = [
            (header::CACHE_CONTROL, if named { FOR_EVER } else { ASK_AGAIN }),
            (header::ETAG, HeaderValue::from_str(&tag).expect("hexadecimal digits in quotes")),
        ];
        let answer = if known {
            (StatusCode::NOT_MODIFIED, kept).into_response()
        } else {
            (kept, [(header::CONTENT_TYPE, self.kind)], self.content).into_response()
        };
        close_after(answer)
    }
}

/// FNV-1a: it only has to differ when the content does.
const fn fnv1a(bytes: &[u8]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut at = 0;
    while at < bytes.len() {
        hash = (hash ^ bytes[at] as u64).wrapping_mul(0x0100_0000_01b3);
        at += 1;
    }
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_the_one_of_the_books() {
        assert_eq!((fnv1a(b""), fnv1a(b"foobar")), (0xcbf2_9ce4_8422_2325, 0x8594_4171_f739_67e8));
    }
}
