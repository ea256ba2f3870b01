//! Commands that do something to players, to the chat or to the save. All are the game's own and keep achievements.

use async_trait::async_trait;

use crate::config::settings::Level;
use crate::rcon::{ChatText, Command, InvalidArgument, Reason, SaveName};

use super::super::inbound::clean;
use super::SlashCommand;
use super::call::Options;
use super::desk::{Failure, Order};
use super::options::{Kind, Names, OptionSpec};
use super::texts;
use super::view::Shown;

const REASON: OptionSpec = OptionSpec::optional("reason", Kind::Text(200), "Why; the player sees it");
const MESSAGE: OptionSpec = OptionSpec::required("message", Kind::Text(500), "What to say");

/// A command of the game whose answer is shown as it is.
macro_rules! native {
    ($($(#[$doc:meta])* $name:ident = $word:literal, $level:ident, dangerous: $danger:literal, private: $private:literal, $says:literal, [$($option:expr),*], |$order:ident| $command:expr;)*) => {$(
        $(#[$doc])*
        pub(super) struct $name;

        impl $name {
            fn command($order: &Order<'_>) -> Result<Command, Failure> {
                Ok($command)
            }
        }

        #[async_trait]
        impl SlashCommand for $name {
            fn name(&self) -> &'static str {
                $word
            }

            fn description(&self) -> &'static str {
                $says
            }

            fn level(&self) -> Level {
                Level::$level
            }

            fn options(&self) -> &'static [OptionSpec] {
                const OPTIONS: &[OptionSpec] = &[$($option),*];
                OPTIONS
            }

            fn is_dangerous(&self, _: &Options) -> bool {
                $danger
            }

            fn is_private(&self) -> bool {
                $private
            }

            fn check(&self, order: &Order<'_>) -> Result<(), Failure> {
                Self::command(order).map(drop)
            }

            async fn run(&self, order: &Order<'_>) -> Result<Shown, Failure> {
                let answer = order.ask(Self::command(order)?).await?;
                Ok(Shown::answer(title($word), &answer))
            }
        }
    )*};
}

native! {
    /// `/kick`
    Kick = "kick", Moderator, dangerous: false, private: false, "Throw a player out of the game",
        [OptionSpec::player(Names::OnlinePlayers), REASON],
        |order| Command::Kick { player: order.player()?, reason: reason(order) };
    /// `/ban`
    Ban = "ban", Moderator, dangerous: true, private: false, "Throw a player out for good",
        [OptionSpec::player(Names::KnownPlayers), REASON],
        |order| Command::Ban { player: order.player()?, reason: reason(order) };
    /// `/unban`
    Unban = "unban", Moderator, dangerous: false, private: false, "Let a banned player in again",
        [OptionSpec::player(Names::Banned)],
        |order| Command::Unban { player: order.player()? };
    /// `/mute`
    Mute = "mute", Moderator, dangerous: false, private: false, "Stop a player from chatting",
        [OptionSpec::player(Names::OnlinePlayers)],
        |order| Command::Mute { player: order.player()? };
    /// `/unmute`
    Unmute = "unmute", Moderator, dangerous: false, private: false, "Let a muted player chat again",
        [OptionSpec::player(Names::KnownPlayers)],
        |order| Command::Unmute { player: order.player()? };
    /// `/promote`
    Promote = "promote", Admin, dangerous: true, private: false, "Make a player an admin of the game",
        [OptionSpec::player(Names::KnownPlayers)],
        |order| Command::Promote { player: order.player()? };
    /// `/demote`
    Demote = "demote", Admin, dangerous: true, private: false, "Take a player's admin rights in the game",
        [OptionSpec::player(Names::Admins)],
        |order| Command::Demote { player: order.player()? };
    /// `/server-save`
    Save = "save", Moderator, dangerous: false, private: false, "Save the map",
        [OptionSpec::optional("name", Kind::Text(100), "A save of its own under this name")],
        |order| Command::ServerSave { name: save_name(order)? };
    /// Plain server chat.
    Broadcast = "broadcast", Moderator, dangerous: false, private: false, "Say something to all players",
        [MESSAGE],
        |order| Command::Say { text: message(order)? };
    /// `/whisper`
    Whisper = "whisper", Moderator, dangerous: false, private: true, "Say something to one player",
        [OptionSpec::player(Names::OnlinePlayers), MESSAGE],
        |order| Command::Whisper { player: order.player()?, text: message(order)? };
}

fn title(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect()
}

/// The options whose text players read.
pub(super) const PLAYERS_READ: [&str; 2] = [REASON.name, MESSAGE.name];

/// The reason as typed, and who gave the command where the operator wants players to know.
fn reason(order: &Order<'_>) -> Option<Reason> {
    let by = order.desk.settings.name_moderator.then(|| texts::by_moderator(&clean::name(&order.caller.name)));
    let typed = order.for_players(REASON.name);
    Reason::new(&typed.into_iter().chain(by).collect::<Vec<_>>().join(", "))
}

fn message(order: &Order<'_>) -> Result<ChatText, Failure> {
    let text = order.for_players(MESSAGE.name).ok_or_else(|| match order.text(MESSAGE.name) {
        Ok(_) => Failure::Input(texts::not_understood(InvalidArgument::Empty)),
        Err(missing) => missing,
    })?;
    ChatText::new(&text).map_err(|error| Failure::Input(texts::not_understood(error)))
}

fn save_name(order: &Order<'_>) -> Result<Option<SaveName>, Failure> {
    let name = order.options.text("name").map(SaveName::new).transpose();
    name.map_err(|error| Failure::Input(texts::not_understood(error)))
}
