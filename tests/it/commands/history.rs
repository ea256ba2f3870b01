//! `/history`: a picture, with words for those who cannot see it.

use serde_json::json;

use super::world::World;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_history_is_a_picture_with_words_for_those_who_cannot_see_it() {
    let world = World::new().await;
    for span in ["day", "week"] {
        let id = world.start("Alice", "history", &[("value", json!(span))]);
        let reply = world.answer(id, |reply| !reply.attachments.is_empty()).await;
        let file = &reply.attachments[0];
        assert!(file.bytes.starts_with(b"\x89PNG"), "{}", file.filename);
        assert!(file.description.as_deref().unwrap().contains("players and UPS"), "{file:?}");
        assert_eq!(reply.embeds[0]["image"]["url"], format!("attachment://{}", file.filename));
        assert_eq!(reply.embeds[0]["title"], format!("The last {span}"));
    }
}
