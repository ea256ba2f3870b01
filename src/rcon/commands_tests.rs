use proptest::prelude::*;

use super::*;
use crate::rcon::guard::lua_command;

fn player() -> PlayerName {
    PlayerName::new("Bob").unwrap()
}

fn said(text: &str) -> Result<String, InvalidArgument> {
    ChatText::new(text).map(|text| text.as_str().to_owned())
}

#[test]
fn commands_are_written_as_the_game_reads_them() {
    let reason = || Reason::new("griefing\nthe /c train");
    let commands = [
        Command::Players,
        Command::PlayersOnline,
        Command::Time,
        Command::Evolution { surface: None },
        Command::Evolution { surface: Some(SurfaceName::new("nauvis").unwrap()) },
        Command::ServerSave { name: Some(SaveName::new("before-update").unwrap()) },
        Command::Kick { player: player(), reason: reason() },
        Command::Ban { player: player(), reason: None },
        Command::WhitelistAdd { player: player() },
        Command::Banlist,
        Command::Whisper { player: player(), text: ChatText::new("hello there").unwrap() },
        Command::Say { text: ChatText::new("[Discord] Ann: hi").unwrap() },
    ];
    let lines: Vec<String> = commands.iter().map(|command| CommandLine::from(command).to_string()).collect();
    insta::assert_snapshot!(lines.join("\n"), @r"
    /players
    /players online
    /time
    /evolution
    /evolution nauvis
    /server-save before-update
    /kick Bob griefing the /c train
    /ban Bob
    /whitelist add Bob
    /banlist get
    /whisper Bob hello there
    [Discord] Ann: hi
    ");
}

#[test]
fn chat_never_begins_as_a_command() {
    assert_eq!(said("/c game.print(1)").as_deref(), Ok("c game.print(1)"));
    assert_eq!(said(" \n\u{200b}// \t/sc x").as_deref(), Ok("sc x"));
    assert_eq!(said("line one\r\nline two").as_deref(), Ok("line one  line two"));
    assert_eq!(said("\u{1b}[31mred\u{7}").as_deref(), Ok("[31mred"));
    assert_eq!(said("family \u{1f468}\u{200d}\u{1f469}").as_deref(), Ok("family \u{1f468}\u{200d}\u{1f469}"));
    assert_eq!(said("///"), Err(InvalidArgument::Empty));
    assert_eq!(said(" \u{2060}\n"), Err(InvalidArgument::Empty));
}

#[test]
fn long_chat_is_cut_at_a_character() {
    let long = said(&"é".repeat(600)).unwrap();
    assert_eq!(long.chars().count(), 500);
    assert!(long.ends_with("é…"));
    assert_eq!(said(&"é".repeat(500)).unwrap(), "é".repeat(500));
}

#[test]
fn a_save_is_a_file_name_and_a_surface_is_a_name() {
    for bad in ["", "../x", ".hidden", "a/b", "a b", "a\nb", &"x".repeat(101)] {
        assert_eq!(SaveName::new(bad), Err(InvalidArgument::Save), "{bad:?}");
    }
    for bad in ["", " ", "a/b", "a\nb", "\"x\"", &"x".repeat(101)] {
        assert_eq!(SurfaceName::new(bad), Err(InvalidArgument::Surface), "{bad:?}");
    }
    assert_eq!(SurfaceName::new(" my platform ").unwrap().as_str(), "my platform");
}

/// Every command there is, made of arbitrary text wherever text is accepted.
fn any_command(text: &str) -> Vec<Command> {
    let mut commands = vec![
        Command::Kick { player: player(), reason: Reason::new(text) },
        Command::Ban { player: player(), reason: Reason::new(text) },
    ];
    commands.extend(SurfaceName::new(text).ok().map(|surface| Command::Evolution { surface: Some(surface) }));
    commands.extend(SaveName::new(text).ok().map(|name| Command::ServerSave { name: Some(name) }));
    commands.extend(PlayerName::new(text).ok().map(|player| Command::Promote { player }));
    if let Ok(text) = ChatText::new(text) {
        commands.push(Command::Whisper { player: player(), text: text.clone() });
        commands.push(Command::Say { text });
    }
    commands
}

proptest! {
    #[test]
    fn no_argument_becomes_another_command(text in any::<String>(), lead in "[/ \t\n\u{200b}\u{feff}／]{0,6}(c|sc|editor)?") {
        for command in any_command(&format!("{lead}{text}")) {
            let line = CommandLine::from(&command);
            prop_assert!(!line.as_str().chars().any(breaks_line), "{:?}", line);
            prop_assert_eq!(lua_command(line.as_str()), None);
            prop_assert_eq!(CommandLine::parse(line.as_str()), Ok(line.clone()));
            let slash = line.as_str().starts_with('/');
            prop_assert_eq!(slash, !matches!(command, Command::Say { .. }), "{:?}", line);
        }
    }
}
