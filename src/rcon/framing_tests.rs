use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

use super::*;

fn frame(id: i32, kind: i32, body: &[u8]) -> Vec<u8> {
    let length = i32::try_from(body.len() + MIN_FRAME).unwrap();
    let numbers = [length, id, kind].map(i32::to_le_bytes).concat();
    [&numbers, body, &[0, 0]].concat()
}

/// Logs in over a guarded connection whose other end says these bytes.
async fn logged_in(far: &mut DuplexStream, near: DuplexStream) -> rcon::Connection<Guarded<DuplexStream>> {
    far.write_all(&frame(1, 2, b"")).await.unwrap();
    rcon::Builder::new().enable_factorio_quirks(true).handshake(Guarded::new(near), "secret").await.unwrap()
}

/// What becomes of one command that is answered with these bytes, and then the end.
async fn answered_with(bytes: &[u8]) -> Result<String, crate::rcon::RconError> {
    let (mut far, near) = duplex(8 * 1024 * 1024);
    let mut connection = logged_in(&mut far, near).await;
    let answer = async {
        let mut login_and_command = vec![0; frame(1, 3, b"secret").len() + frame(2, 2, b"/time").len()];
        far.read_exact(&mut login_and_command).await.unwrap();
        far.write_all(bytes).await.unwrap();
        drop(far);
    };
    let (reply, ()) = tokio::join!(connection.cmd("/time"), answer);
    reply.map_err(|error| crate::rcon::RconError::of_exchange(&error))
}

fn garbage(garbage: Garbage) -> Result<String, crate::rcon::RconError> {
    Err(crate::rcon::RconError::Garbage(garbage))
}

#[tokio::test]
async fn a_true_answer_passes_also_in_megabytes() {
    assert_eq!(answered_with(&frame(2, 0, b"7 seconds\n")).await, Ok("7 seconds\n".to_owned()));
    assert_eq!(answered_with(&frame(2, 0, b"")).await, Ok(String::new()));
    let long = "x".repeat(4 * 1024 * 1024);
    assert_eq!(answered_with(&frame(2, 0, long.as_bytes())).await, Ok(long));
}

#[tokio::test]
async fn impossible_lengths_are_refused_before_anything_is_reserved() {
    for length in [0, 9, -1, i32::MIN, i32::MAX, 16 * 1024 * 1024 + 1] {
        let bytes = [&length.to_le_bytes()[..], &[0; 20]].concat();
        assert_eq!(answered_with(&bytes).await, garbage(Garbage::Length(length)), "{length}");
    }
}

#[tokio::test]
async fn answers_to_something_else_are_refused() {
    assert_eq!(answered_with(&frame(7, 0, b"x")).await, garbage(Garbage::Id { expected: 2, got: 7 }));
    assert_eq!(answered_with(&frame(-1, 2, b"")).await, garbage(Garbage::Id { expected: 2, got: -1 }));
    assert_eq!(answered_with(&frame(2, 5, b"x")).await, garbage(Garbage::Type(5)));
    let mut open_ended = frame(2, 0, b"x");
    *open_ended.last_mut().unwrap() = 7;
    assert_eq!(answered_with(&open_ended).await, garbage(Garbage::Unterminated));
}

#[tokio::test]
async fn text_that_is_not_utf_8_is_survived() {
    assert_eq!(answered_with(&frame(2, 0, b"a\xffb\xe2\x82")).await, Ok("a\u{fffd}b\u{fffd}".to_owned()));
}

#[tokio::test]
async fn an_end_inside_an_answer_is_an_error() {
    let whole = frame(2, 0, b"7 seconds");
    for cut in 0..whole.len() {
        assert_eq!(answered_with(&whole[..cut]).await, Err(crate::rcon::RconError::CutMidReply), "{cut}");
    }
}

#[tokio::test]
async fn an_empty_command_does_not_reach_the_wire() {
    let (mut far, near) = duplex(1024);
    let mut connection = logged_in(&mut far, near).await;
    assert!(connection.cmd("").await.is_err());
    drop(connection);
    let mut sent = Vec::new();
    far.read_to_end(&mut sent).await.unwrap();
    assert_eq!(sent, frame(1, 3, b"secret"));
}

#[tokio::test]
async fn a_refused_login_is_a_wrong_password() {
    let (mut far, near) = duplex(1024);
    far.write_all(&frame(-1, 2, b"")).await.unwrap();
    let refused = rcon::Builder::new().enable_factorio_quirks(true).handshake(Guarded::new(near), "x").await;
    assert!(matches!(refused, Err(rcon::Error::Auth)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_bytes_panic_and_no_foreign_answer_passes(bytes in prop::collection::vec(any::<u8>(), 0..64), length in 0..40_i32) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let bytes = [&length.to_le_bytes()[..], &bytes].concat();
        let answer = runtime.block_on(answered_with(&bytes));
        if answer.is_ok() {
            prop_assert_eq!(&bytes[4..12], &[2, 0, 0, 0, 0, 0, 0, 0]);
        }
    }
}
