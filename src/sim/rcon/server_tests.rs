use std::time::Duration;

use tokio::time::timeout;

use super::super::wire::ANSWER;
use super::*;

async fn sim(game: Game) -> SimRcon {
    SimRcon::start("secret", game, |_| {}).await.unwrap()
}

/// A client that knows packets and nothing else.
struct Raw {
    stream: TcpStream,
    received: Vec<u8>,
}

impl Raw {
    async fn connect(sim: &SimRcon) -> Self {
        Self { stream: TcpStream::connect(sim.address()).await.unwrap(), received: Vec::new() }
    }

    async fn send(&mut self, packets: &[(i32, i32, &str)]) {
        let bytes: Vec<u8> = packets.iter().flat_map(|(id, kind, body)| frame(*id, *kind, body.as_bytes())).collect();
        self.stream.write_all(&bytes).await.unwrap();
    }

    async fn receive(&mut self) -> (i32, i32, String) {
        let packet = async {
            loop {
                if let Some(packet) = take_packet(&mut self.received).ok().unwrap() {
                    return packet;
                }
                assert_ne!(self.stream.read_buf(&mut self.received).await.unwrap(), 0, "the server closed");
            }
        };
        let packet = timeout(Duration::from_secs(10), packet).await.unwrap();
        (packet.id, packet.kind, packet.body)
    }
}

#[tokio::test]
async fn a_login_gets_one_packet_with_its_id_or_minus_one() {
    let sim = sim(Game::default()).await;
    let mut raw = Raw::connect(&sim).await;
    raw.send(&[(5, LOGIN, "wrong")]).await;
    assert_eq!(raw.receive().await, (-1, COMMAND, String::new()));
    raw.send(&[(6, LOGIN, "secret"), (7, COMMAND, "/version")]).await;
    assert_eq!(raw.receive().await, (6, COMMAND, String::new()));
    assert_eq!(raw.receive().await, (7, ANSWER, "2.0.77\n".to_owned()));
    assert_eq!((sim.seen().connects, sim.seen().logins), (1, 1));
}

#[tokio::test]
async fn empty_commands_and_markers_are_never_answered_but_empty_answers_are_sent() {
    let sim = sim(Game::default()).await;
    let mut raw = Raw::connect(&sim).await;
    raw.send(&[(1, LOGIN, "secret"), (2, COMMAND, ""), (3, ANSWER, "x"), (4, COMMAND, "hello")]).await;
    raw.receive().await;
    assert_eq!(raw.receive().await, (4, ANSWER, String::new()));
    assert_eq!(sim.seen().improper, 2);
}

#[tokio::test]
async fn pipelined_answers_overtake_while_a_player_is_online() {
    let pipelined = [(2, COMMAND, "/evolution nauvis"), (3, COMMAND, "/seed")];
    for (player, order) in [(None, [2, 3]), (Some("Ann"), [3, 2])] {
        let mut game = Game::default();
        if let Some(player) = player {
            game.join(player);
        }
        let sim = sim(game).await;
        let mut raw = Raw::connect(&sim).await;
        raw.send(&[(1, LOGIN, "secret")]).await;
        raw.receive().await;
        raw.send(&pipelined).await;
        assert_eq!([raw.receive().await.0, raw.receive().await.0], order);
    }
}
