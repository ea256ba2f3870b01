//! Objects as the API shows them, with every field a strict client asks for.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::model::{Ping, SimAttachment, SimBot, SimChannel, SimGuild, SimMessage, SimOverwrite, SimRole, SimUser};

/// As `2026-11-23T21:52:14.123000+00:00`.
pub(super) fn iso8601(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S.%6f+00:00").to_string()
}

pub(super) fn user(user: &SimUser) -> Value {
    json!({
        "id": user.id.to_string(), "username": user.name, "global_name": if user.bot { None } else { Some(&user.name) },
        "discriminator": "0000", "avatar": null, "avatar_decoration_data": null, "bot": user.bot, "system": false,
        "public_flags": 0, "flags": 0, "banner": null, "accent_color": null, "collectibles": null, "primary_guild": null,
    })
}

/// The bot's own account, with what only it may see.
pub(super) fn current_user(bot: &SimBot) -> Value {
    let mut account = user(&bot.user());
    account["mfa_enabled"] = json!(false);
    account["verified"] = json!(true);
    account["email"] = Value::Null;
    account["locale"] = json!("en-US");
    account["premium_type"] = json!(0);
    account
}

/// Flags: the privileged intent `MESSAGE_CONTENT` is switched on (the form for unverified applications).
const MESSAGE_CONTENT_LIMITED: u64 = 1 << 19;

pub(super) fn application(bot: &SimBot, reads: bool) -> Value {
    let flags = if reads { MESSAGE_CONTENT_LIMITED } else { 0 };
    json!({
        "id": bot.id.to_string(), "name": bot.name, "icon": null, "description": "", "summary": "", "rpc_origins": [],
        "bot_public": true, "bot_require_code_grant": false,
        "owner": user(&SimUser { id: OWNER_ID, name: "owner".into(), bot: false }), "verify_key": "0", "team": null,
        "flags": flags, "tags": [], "hook": true, "integration_types_config": { "0": {} },
        "approximate_guild_count": 1, "approximate_user_install_count": 0, "redirect_uris": [],
        "interactions_endpoint_url": null, "role_connections_verification_url": null, "type": null,
        "flags_new": flags.to_string(), "approximate_user_authorization_count": 0, "explicit_content_filter": 0,
        "eligible_oauth2_scopes": [],
    })
}

/// Who owns the guild and the application.
pub(super) const OWNER_ID: u64 = 900_000_000_000_000_000;

/// `VIEW_CHANNEL`, `SEND_MESSAGES`, `EMBED_LINKS`, `ATTACH_FILES`, `READ_MESSAGE_HISTORY` and the like for everyone.
pub(super) const EVERYONE_PERMISSIONS: u64 = 117_760;

/// The id of the role that comes with the bot.
pub(super) fn bot_role(bot: &SimBot) -> u64 {
    bot.id + 1
}

fn role(id: u64, name: &str, permissions: u64, position: u32, tags: Option<Value>) -> Value {
    let mut role = json!({
        "id": id.to_string(), "name": name, "description": null, "color": 0,
        "colors": { "primary_color": 0, "secondary_color": null, "tertiary_color": null },
        "hoist": false, "icon": null, "unicode_emoji": null, "position": position,
        "permissions": permissions.to_string(), "managed": tags.is_some(), "mentionable": false, "flags": 0,
    });
    if let Some(tags) = tags {
        role["tags"] = tags;
    }
    role
}

pub(super) fn roles(guild: &SimGuild, bot: &SimBot, more: &[SimRole]) -> Value {
    let tags = json!({ "bot_id": bot.id.to_string() });
    let mut roles = vec![
        role(guild.id, "@everyone", EVERYONE_PERMISSIONS, 0, None),
        role(bot_role(bot), &bot.name, bot.permissions, 1, Some(tags)),
    ];
    roles.extend((2..).zip(more).map(|(position, more)| role(more.id, &more.name, more.permissions, position, None)));
    Value::Array(roles)
}

/// A member without `user`, as it stands inside a message.
pub(super) fn partial_member(member: &SimUser, bot: &SimBot, roles: &[u64], nick: Option<&str>) -> Value {
    let own = (member.id == bot.id).then(|| bot_role(bot));
    let roles: Vec<String> = own.iter().chain(roles).map(u64::to_string).collect();
    json!({
        "nick": nick, "avatar": null, "banner": null, "roles": roles, "joined_at": "2026-01-01T00:00:00.000000+00:00",
        "premium_since": null, "deaf": false, "mute": false, "flags": 0, "pending": false,
        "communication_disabled_until": null, "unusual_dm_activity_until": null,
    })
}

pub(super) fn member(who: &SimUser, bot: &SimBot, roles: &[u64], nick: Option<&str>) -> Value {
    let mut member = partial_member(who, bot, roles, nick);
    member["user"] = user(who);
    member
}

pub(super) fn channel(
    channel: &SimChannel,
    (guild, bot, roles): (&SimGuild, &SimBot, &[SimRole]),
    position: usize,
    last_message: Option<u64>,
) -> Value {
    let overwrites: Vec<Value> =
        channel.overwrites.iter().map(|overwrite| permission_overwrite(overwrite, guild, bot, roles)).collect();
    let mut shown = json!({
        "id": channel.id.to_string(), "type": channel.kind, "guild_id": guild.id.to_string(), "name": channel.name,
        "topic": channel.topic, "position": position, "permission_overwrites": overwrites, "nsfw": false,
        "parent_id": null, "last_message_id": last_message.map(|id| id.to_string()), "last_pin_timestamp": null,
        "rate_limit_per_user": 0, "flags": 0,
    });
    match channel.kind {
        VOICE => {
            shown["bitrate"] = json!(64_000);
            shown["user_limit"] = json!(0);
            shown["rtc_region"] = Value::Null;
        }
        FORUM => shown["available_tags"] = json!([]),
        _ => {}
    }
    shown
}

/// Type of a voice channel.
const VOICE: u8 = 2;
/// Type of a forum.
const FORUM: u8 = 15;

fn permission_overwrite(overwrite: &SimOverwrite, guild: &SimGuild, bot: &SimBot, roles: &[SimRole]) -> Value {
    let is_role =
        [guild.id, bot_role(bot)].contains(&overwrite.target) || roles.iter().any(|role| role.id == overwrite.target);
    json!({
        "id": overwrite.target.to_string(), "type": u8::from(!is_role), "allow": overwrite.allow.to_string(),
        "deny": overwrite.deny.to_string(),
    })
}

/// The guild as `GET /guilds/{id}` shows it: without channels and members.
pub(super) fn guild(guild: &SimGuild, bot: &SimBot, more_roles: &[SimRole]) -> Value {
    json!({
        "id": guild.id.to_string(), "name": guild.name, "icon": null, "icon_hash": null, "splash": null,
        "discovery_splash": null, "owner_id": OWNER_ID.to_string(), "afk_channel_id": null, "afk_timeout": 300,
        "widget_enabled": false, "widget_channel_id": null, "verification_level": 1,
        "default_message_notifications": 1, "explicit_content_filter": 2, "roles": roles(guild, bot, more_roles), "emojis": [],
        "features": [], "mfa_level": 0, "application_id": null, "system_channel_id": null, "system_channel_flags": 0,
        "rules_channel_id": null, "max_presences": null, "max_members": 500_000, "vanity_url_code": null,
        "description": null, "banner": null, "premium_tier": 0, "premium_subscription_count": 0,
        "preferred_locale": "en-US", "public_updates_channel_id": null, "max_video_channel_users": 25,
        "max_stage_video_channel_users": 50, "nsfw_level": 0, "nsfw": false, "stickers": [],
        "premium_progress_bar_enabled": false, "safety_alerts_channel_id": null, "incidents_data": null,
        "region": "deprecated", "home_header": null,
    })
}

/// The guild with what `GUILD_CREATE` adds to it.
pub(super) fn guild_create(mut created: Value, channels: &[Value], members: &[Value]) -> Value {
    created["joined_at"] = json!("2026-01-01T00:00:00.000000+00:00");
    created["large"] = json!(false);
    created["unavailable"] = json!(false);
    created["member_count"] = json!(members.len());
    created["channels"] = json!(channels);
    created["members"] = json!(members);
    for empty in
        ["voice_states", "threads", "presences", "stage_instances", "guild_scheduled_events", "soundboard_sounds"]
    {
        created[empty] = json!([]);
    }
    created
}

/// Where a client downloads a file.
pub(super) fn attachment_path(message: u64, index: usize) -> String {
    format!("/sim/attachments/{message}/{index}")
}

fn attachment(base_url: &str, message: u64, index: usize, file: &SimAttachment) -> Value {
    let url = format!("{base_url}{}", attachment_path(message, index));
    json!({
        "id": file.id.to_string(), "filename": file.filename, "size": file.bytes.len(), "url": url, "proxy_url": url,
        "content_type": file.content_type(), "description": file.description,
    })
}

/// A message as REST shows it; `users` are those whom a mention can mean. The nonce is only in the answer to its
/// creation and in `MESSAGE_CREATE`: a message that is fetched later has lost it.
pub(super) fn message(message: &SimMessage, base_url: &str, users: &[SimUser]) -> Value {
    let attachments: Vec<Value> =
        message.attachments.iter().enumerate().map(|(n, file)| attachment(base_url, message.id, n, file)).collect();
    let mut shown = json!({
        "id": message.id.to_string(), "channel_id": message.channel.to_string(), "type": 0,
        "author": user(&message.author), "content": message.content, "timestamp": iso8601(message.timestamp),
        "edited_timestamp": message.edited.map(iso8601), "tts": false, "pinned": false, "flags": message.flags,
        "mention_everyone": mentions_everyone(message),
        "mentions": mentioned_users(&message.pinged, users), "mention_roles": mentioned_roles(&message.pinged),
        "attachments": attachments, "embeds": embeds(&message.embeds), "components": components(&message.components),
    });
    if let Some(answered) = message.reply_to {
        shown["type"] = json!(19);
        let channel = message.channel.to_string();
        shown["message_reference"] = json!({ "type": 0, "message_id": answered.to_string(), "channel_id": channel });
    }
    if !message.stickers.is_empty() {
        let sticker = |name: &String| json!({ "id": message.id.to_string(), "name": name, "format_type": 1 });
        shown["sticker_items"] = message.stickers.iter().map(sticker).collect();
    }
    for (name, value) in message.fields.as_object().into_iter().flatten() {
        shown[name] = value.clone();
    }
    shown
}

/// Components with the ids that Discord gives them.
fn components(sent: &Value) -> Value {
    fn number(components: &mut Value, last: &mut u64) {
        for component in components.as_array_mut().into_iter().flatten() {
            *last += 1;
            component["id"] = json!(*last);
            if let Some(inner) = component.get_mut("components") {
                number(inner, last);
            }
        }
    }
    let mut components = sent.clone();
    number(&mut components, &mut 0);
    components
}

/// Embeds with what Discord adds to them.
fn embeds(sent: &Value) -> Value {
    let mut embeds = sent.clone();
    for embed in embeds.as_array_mut().into_iter().flatten() {
        embed["type"] = json!("rich");
        let fields = embed.get_mut("fields").and_then(Value::as_array_mut);
        for field in fields.into_iter().flatten().filter(|field| field["inline"].is_null()) {
            field["inline"] = json!(false);
        }
    }
    embeds
}

/// Whether it pings `@everyone` or `@here`.
pub(super) fn mentions_everyone(message: &SimMessage) -> bool {
    message.pinged.iter().any(|ping| matches!(ping, Ping::Everyone | Ping::Here))
}

fn mentioned_users(pings: &[Ping], users: &[SimUser]) -> Vec<Value> {
    users.iter().filter(|known| pings.contains(&Ping::User(known.id))).map(user).collect()
}

fn mentioned_roles(pings: &[Ping]) -> Vec<String> {
    pings.iter().filter_map(|ping| if let Ping::Role(id) = ping { Some(id.to_string()) } else { None }).collect()
}

/// A command as the bulk overwrite answers it: the request's fields with those the server fills in.
pub(super) fn command(sent: &Value, id: u64, application: u64, guild: Option<u64>) -> Value {
    let mut command: Map<String, Value> = sent.as_object().cloned().unwrap_or_default();
    let defaults = [
        ("type", json!(1)),
        ("description", json!("")),
        ("default_member_permissions", Value::Null),
        ("nsfw", json!(false)),
        ("dm_permission", json!(true)),
    ];
    for (field, value) in defaults {
        command.entry(field).or_insert(value);
    }
    command.insert("id".into(), json!(id.to_string()));
    command.insert("application_id".into(), json!(application.to_string()));
    command.insert("version".into(), json!(id.to_string()));
    if let Some(guild) = guild {
        command.insert("guild_id".into(), json!(guild.to_string()));
    }
    Value::Object(command)
}

impl SimBot {
    /// The bot as an author.
    #[must_use]
    pub fn user(&self) -> SimUser {
        SimUser { id: self.id, name: self.name.clone(), bot: true }
    }
}
