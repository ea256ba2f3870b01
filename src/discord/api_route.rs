//! What a request to the API asks for, as few words for the metrics: paths themselves have ids in them.

use reqwest::Method;

use crate::telemetry::labels::DiscordRoute;

/// The route of a request with this path, which begins behind the version.
pub(super) fn route_of(method: &Method, path: &str) -> DiscordRoute {
    let path = path.split('?').next().unwrap_or_default();
    let parts: Vec<&str> = path.split('/').skip(1).collect();
    match (method.as_str(), parts.as_slice()) {
        ("POST", ["channels", _, "messages"]) => DiscordRoute::MessageSend,
        ("GET", ["channels", _, "messages", ..]) => DiscordRoute::MessageList,
        ("PATCH", ["channels", _, "messages", _]) => DiscordRoute::MessageEdit,
        ("DELETE", ["channels", _, "messages", _]) => DiscordRoute::MessageDelete,
        ("PUT" | "DELETE", ["channels", _, "messages", _, "reactions", ..]) => DiscordRoute::Reaction,
        ("GET", ["channels", _]) => DiscordRoute::ChannelRead,
        ("PATCH", ["channels", _]) => DiscordRoute::ChannelEdit,
        ("GET", ["guilds", ..]) => DiscordRoute::GuildRead,
        ("POST", ["interactions", ..]) => DiscordRoute::InteractionAnswer,
        (_, ["webhooks", ..]) => DiscordRoute::InteractionFollowup,
        ("PUT", ["applications", .., "commands"]) => DiscordRoute::CommandRegistration,
        ("GET", ["users" | "applications", "@me"] | ["oauth2", ..]) => DiscordRoute::Identity,
        ("GET", ["gateway", ..]) => DiscordRoute::Gateway,
        _ => DiscordRoute::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_request_of_the_program_has_its_route() {
        let routes = [
            (Method::POST, "/channels/12/messages", DiscordRoute::MessageSend),
            (Method::GET, "/channels/12/messages?after=3&limit=100", DiscordRoute::MessageList),
            (Method::PATCH, "/channels/12/messages/34", DiscordRoute::MessageEdit),
            (Method::DELETE, "/channels/12/messages/34", DiscordRoute::MessageDelete),
            (Method::PUT, "/channels/12/messages/34/reactions/%E2%9D%8C/@me", DiscordRoute::Reaction),
            (Method::DELETE, "/channels/12/messages/34/reactions/%E2%9D%8C/@me", DiscordRoute::Reaction),
            (Method::GET, "/channels/12", DiscordRoute::ChannelRead),
            (Method::PATCH, "/channels/12", DiscordRoute::ChannelEdit),
            (Method::GET, "/guilds/1", DiscordRoute::GuildRead),
            (Method::GET, "/guilds/1/members/2", DiscordRoute::GuildRead),
            (Method::POST, "/interactions/1/secret/callback", DiscordRoute::InteractionAnswer),
            (Method::POST, "/webhooks/1/secret", DiscordRoute::InteractionFollowup),
            (Method::PATCH, "/webhooks/1/secret/messages/@original", DiscordRoute::InteractionFollowup),
            (Method::PUT, "/applications/1/guilds/2/commands", DiscordRoute::CommandRegistration),
            (Method::GET, "/applications/@me", DiscordRoute::Identity),
            (Method::GET, "/oauth2/applications/@me", DiscordRoute::Identity),
            (Method::GET, "/users/@me", DiscordRoute::Identity),
            (Method::GET, "/gateway/bot", DiscordRoute::Gateway),
            (Method::GET, "/voice/regions", DiscordRoute::Other),
        ];
        for (method, path, route) in routes {
            assert_eq!(route_of(&method, path), route, "{method} {path}");
        }
    }
}
