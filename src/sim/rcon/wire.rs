//! Packets: `length | id | type | body | 00 00`, little-endian, the length counting what comes behind it.

/// The type of an answer to a command.
pub(super) const ANSWER: i32 = 0;
/// The type of a command; also of the answer to a login.
pub(super) const COMMAND: i32 = 2;
/// The type of a login.
pub(super) const LOGIN: i32 = 3;

/// The longest packet the server takes: the game takes commands of a megabyte.
const MAX_LENGTH: usize = 1024 * 1024 + 10;

/// A packet as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Packet {
    pub(super) id: i32,
    pub(super) kind: i32,
    pub(super) body: String,
}

/// The bytes of a packet.
pub(super) fn frame(id: i32, kind: i32, body: &[u8]) -> Vec<u8> {
    let length = i32::try_from(body.len() + 10).unwrap_or(i32::MAX);
    let mut bytes = Vec::with_capacity(body.len() + 14);
    for number in [length, id, kind] {
        bytes.extend_from_slice(&number.to_le_bytes());
    }
    bytes.extend_from_slice(body);
    bytes.extend_from_slice(&[0, 0]);
    bytes
}

/// Takes the first whole packet off `received`. `Ok(None)` = there is none yet; an error = what came is no packet.
pub(super) fn take_packet(received: &mut Vec<u8>) -> Result<Option<Packet>, NoPacket> {
    let Some(length) = number(received, 0) else { return Ok(None) };
    let length = usize::try_from(length).map_err(|_| NoPacket)?;
    if !(10..=MAX_LENGTH).contains(&length) {
        return Err(NoPacket);
    }
    if received.len() < 4 + length {
        return Ok(None);
    }
    let frame: Vec<u8> = received.drain(..4 + length).collect();
    let body = frame[12..].strip_suffix(&[0, 0]).ok_or(NoPacket)?;
    let (id, kind) = (number(&frame, 4).ok_or(NoPacket)?, number(&frame, 8).ok_or(NoPacket)?);
    Ok(Some(Packet { id, kind, body: String::from_utf8_lossy(body).into_owned() }))
}

/// What came is no packet: the game closes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NoPacket;

fn number(bytes: &[u8], at: usize) -> Option<i32> {
    bytes.get(at..)?.first_chunk::<4>().map(|bytes| i32::from_le_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_are_taken_whole_and_one_by_one() {
        let mut bytes = [frame(1, LOGIN, b"secret"), frame(2, COMMAND, b"/time")].concat();
        let late = bytes.split_off(bytes.len() - 3);
        let login = Packet { id: 1, kind: LOGIN, body: "secret".to_owned() };
        assert_eq!(take_packet(&mut bytes), Ok(Some(login)));
        assert_eq!(take_packet(&mut bytes), Ok(None));
        bytes.extend(late);
        assert_eq!(take_packet(&mut bytes).unwrap().unwrap().body, "/time");
        assert_eq!(take_packet(&mut vec![9, 0, 0, 0]), Err(NoPacket));
        assert_eq!(take_packet(&mut vec![255; 4]), Err(NoPacket));
    }
}
