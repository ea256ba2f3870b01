//! The scenes: who says what to whom. A catalogue, to be read and added to; a new scene is one entry of [`DECK`].
//!
//! `{x}` becomes a coordinate and `{n}` a small number, anew each time.

use std::borrow::Cow;
use std::time::Duration;

use super::Place::{Nauvis as N, SpaceAge as S};
use super::{Action, Place, Player};

/// One line of a scene: an action, where, and the pause before it where it is not the usual one.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) place: Place,
    pub(super) action: Action,
    pub(super) delay: Option<Duration>,
}

/// Stands for one of [`TROLLS`].
pub(super) const TROLL: Player = "troll";
/// Who comes to be thrown out, a new one each round.
pub(super) const TROLLS: &[Player] =
    &["xX_Boom_Xx", "free.rockets", "belt-eater", "NukeEnjoyer99", "_notabot_", "deconstruct0r"];

const fn act(place: Place, action: Action) -> Line {
    Line { place, action, delay: None }
}

const fn after(millis: u64, place: Place, action: Action) -> Line {
    Line { place, action, delay: Some(Duration::from_millis(millis)) }
}

const fn say(place: Place, player: Player, text: &'static str) -> Line {
    act(place, Action::Chat(player, Cow::Borrowed(text)))
}

const fn join(place: Place, player: Player) -> Line {
    act(place, Action::Join(player))
}

/// Told once, at a brisk pace: within ten seconds both servers have people, talk and rich text.
pub(super) const OPENING: &[Line] = &[
    after(0, N, Action::Start),
    after(0, S, Action::Start),
    join(N, "Marit.K"),
    join(N, "old_pete"),
    join(S, "Juno"),
    say(N, "Marit.K", "morning! who left the coal train [train=47] on manual again"),
    join(S, "voidhauler"),
    say(N, "old_pete", "not me. it was like that when I fell asleep on the rail"),
    say(
        S,
        "Juno",
        "platform [item=space-platform-hub] *Second Breakfast* is over [planet=vulcanus], orbit looks clear",
    ),
    join(N, "HexWrench"),
    say(S, "voidhauler", "dropping [item=calcite] and [item=tungsten-ore], someone catch it at [gps=112,-38,vulcanus]"),
    say(
        N,
        "HexWrench",
        "deadlock at [gps=412,-88], north of [train-stop=211]. putting a chain signal where the rail signal was",
    ),
    act(N, Action::Research("mining-productivity", 14)),
    join(S, "gleba_hater"),
    say(S, "gleba_hater", "my [item=agricultural-science-pack] spoiled again while I was typing this"),
    say(N, "Marit.K", "trains move! [item=iron-plate] is back at 9k/min"),
    say(S, "Juno", "[color=acid]biology[/color] is just logistics that smells"),
    join(N, "Brindle"),
    say(
        N,
        "Brindle",
        "hi all. I brought a blueprint: [special-item=internal_3] eight-lane balancer, no splitter priority",
    ),
    act(S, Action::Died("gleba_hater", "big-stomper-pentapod")),
    say(S, "gleba_hater", "ok that one was on me"),
    say(N, "old_pete", "a balancer. on a *train* base. **bold** choice"),
    say(S, "voidhauler", "rest in [entity=biochamber]"),
    act(S, Action::Autosave),
    say(N, "HexWrench", "next: [technology=logistic-system], queue is yours [img=item/automation-science-pack]"),
    say(S, "Juno", "ship leaves in {n} s, all aboard for [planet=fulgora]"),
    say(N, "Brindle", "wer hat das Öl abgedreht? [fluid=crude-oil] steht bei {n} %"),
    say(N, "Marit.K", "ups. sorry, das war ich :)"),
];

/// Told next, so that a newcomer sees both servers busy and a troll fail before any of them is restarted.
pub(super) const FIRST_SCENES: &[&[Line]] = &[QUALITY, TROLLING, REACTOR];

/// Told in a new order each round.
pub(super) const DECK: &[&[Line]] = &[
    COPPER,
    BITERS,
    PETE,
    REACTOR,
    CIRCUITS,
    WALL,
    SCRAP,
    QUALITY,
    PROMETHIUM,
    SPOILAGE,
    FOUNDRY,
    LAUNCH,
    NEWCOMER,
    TROLLING,
    CHEAT,
    CRASH,
    ROTATION,
    MAINTENANCE,
    OUT_OF_STEP,
];

const COPPER: &[Line] = &[
    say(N, "Brindle", "we are short of [item=copper-plate]: 12k/min wanted, 9k/min made"),
    say(N, "HexWrench", "the patch at [gps={x},{x}] is down to {n}k ore"),
    say(N, "Marit.K", "there is a fat one at [gps={x},{x}], but the locals object"),
    say(N, "old_pete", "I have a [entity=tank] and no fear"),
    act(N, Action::Died("old_pete", "behemoth-worm-turret")),
    say(N, "old_pete", "I have a tank"),
    say(N, "HexWrench", "had"),
];

const BITERS: &[Line] = &[
    say(N, "Marit.K", "attack at the east wall, [gps={x},{x}]"),
    say(N, "Brindle", "on my way, bringing [item=uranium-rounds-magazine]"),
    say(N, "Brindle", "{n} [entity=behemoth-biter] down, wall holds"),
    act(N, Action::Died("Marit.K", "behemoth-spitter")),
    say(N, "Marit.K", "it did hold, I just stood on the wrong side of it"),
    act(N, Action::Research("physical-projectile-damage", 12)),
];

const PETE: &[Line] = &[
    act(N, Action::Died("old_pete", "locomotive")),
    say(N, "old_pete", "WHO scheduled [train=12] through my living room"),
    say(N, "HexWrench", "Pete, you live on the main line"),
    say(N, "old_pete", "I was here first"),
    say(N, "Marit.K", "train deaths today: you {n}, everyone else 0"),
    act(N, Action::Autosave),
];

const REACTOR: &[Line] = &[
    say(N, "HexWrench", "reactor at 940 °C, nobody panic"),
    say(N, "Brindle", "panicking"),
    say(N, "HexWrench", "it is fine, steam is at [virtual-signal=signal-S] = {n}k"),
    say(N, "Marit.K", "define \"fine\""),
    act(N, Action::Research("kovarex-enrichment-process", 1)),
    say(N, "HexWrench", "*now* it is fine. [item=uranium-235] for everyone"),
];

const CIRCUITS: &[Line] = &[
    join(N, "zinc-and-tin"),
    say(N, "zinc-and-tin", "does `a_b_c` ~~work~~ as a combinator name? asking for __a friend__"),
    say(N, "Brindle", "# no\u{a0}"),
    say(N, "zinc-and-tin", "> then why is mine blinking ||red||"),
    say(
        N,
        "HexWrench",
        "because you wired the [item=decider-combinator] to the [item=small-lamp]. at [gps={x},{x}]. all {n} of them",
    ),
    say(N, "zinc-and-tin", "art ¯\\_(ツ)_/¯"),
];

const WALL: &[Line] = &[
    say(
        N,
        "Marit.K",
        "rebuilding the west wall, robots need [item=stone-brick] x{n}00 and [item=flamethrower-turret] x{n}",
    ),
    say(N, "old_pete", "I can carry some, my [armor=old_pete] has legs again"),
    say(N, "Marit.K", "put it in the chest at [gps={x},{x}]"),
    say(N, "old_pete", "done. I also ate the fish"),
    act(N, Action::Shout("old_pete", Cow::Borrowed("the fish was MINE, for the record"))),
];

const SCRAP: &[Line] = &[
    join(S, "Tobbe"),
    say(S, "Tobbe", "[planet=fulgora] report: {n}k scrap in, mostly [item=concrete] out"),
    say(S, "Juno", "recycle it into slightly less concrete"),
    say(S, "Tobbe", "already voiding it. the [entity=recycler] row at [gps={x},{x},fulgora] sings"),
    say(S, "voidhauler", "send [item=holmium-plate] up when you have a rocket full"),
    act(S, Action::Rocket),
];

const QUALITY: &[Line] = &[
    join(S, "Ines-77"),
    say(S, "Ines-77", "[item=quality-module-3,quality=legendary] !!! first one"),
    say(S, "Juno", "it took how many tries"),
    say(S, "Ines-77", "we do not speak of the {n} thousand"),
    say(S, "gleba_hater", "[font=default-bold]respect[/font]"),
    act(S, Action::Research("quality-module-3", 1)),
];

const PROMETHIUM: &[Line] = &[
    say(S, "voidhauler", "leaving for [space-location=solar-system-edge] with {n} [item=railgun-ammo]"),
    say(S, "Juno", "that is not enough"),
    say(S, "voidhauler", "it never is"),
    say(S, "voidhauler", "huge [entity=huge-promethium-asteroid] ahead, this is the good part"),
    act(S, Action::Died("voidhauler", "huge-metallic-asteroid")),
    say(S, "Ines-77", "how does one die on a platform one is not on"),
    say(S, "voidhauler", "with dedication"),
];

const SPOILAGE: &[Line] = &[
    say(S, "gleba_hater", "who put [item=raw-fish] into the sushi belt"),
    say(S, "Tobbe", "it is a sushi belt"),
    say(S, "gleba_hater", "the eggs at [gps={x},{x},gleba] have hatched. ALL the eggs"),
    act(S, Action::Died("gleba_hater", "medium-wriggler-pentapod")),
    say(S, "Juno", "спасибо, Gleba"),
    act(S, Action::Autosave),
];

const FOUNDRY: &[Line] = &[
    say(S, "Juno", "foundries are up on [planet=vulcanus]: [fluid=molten-iron] {n}k/min from {n} drills"),
    say(S, "Tobbe", "and the worm?"),
    say(S, "Juno", "the [entity=medium-demolisher] and I have an agreement. its land ends at [gps={x},{x},vulcanus]"),
    act(S, Action::Died("Juno", "medium-demolisher")),
    say(S, "Juno", "it has changed the terms"),
];

const LAUNCH: &[Line] = &[
    say(S, "Ines-77", "platform *Low Expectations* needs {n} [item=rocket-fuel], requester is set"),
    act(S, Action::Rocket),
    act(S, Action::Rocket),
    say(S, "voidhauler", "two up, {n} to go"),
    act(S, Action::Research("space-platform-thruster", 1)),
    say(S, "Ines-77", "お疲れ様です, see you at [space-location=shattered-planet] some day"),
];

const NEWCOMER: &[Line] = &[
    join(N, "Player_42"),
    say(N, "Player_42", "hello, first time here. what is [item=rail-chain-signal] for"),
    say(N, "Brindle", "welcome! chain signal in, rail signal out. say it every night"),
    say(N, "Player_42", "thanks. I built one at [gps={x},{x}] and everything stopped"),
    say(N, "HexWrench", "that is how we all began"),
    act(N, Action::Promote("Brindle")),
    act(N, Action::Leave("Player_42")),
];

/// What a troll tries, none of which may work in Discord.
const TROLLING: &[Line] = &[
    act(N, Action::Unban(TROLL, "Marit.K")),
    join(N, TROLL),
    say(N, TROLL, "@everyone free stuff at spawn"),
    say(N, TROLL, "[free rocket parts](https://example.com/totally-safe) **CLICK** <@100000000000000001> <t:0:R>"),
    after(120, N, Action::Chat(TROLL, Cow::Borrowed("trains are for losers"))),
    after(60, N, Action::Chat(TROLL, Cow::Borrowed("trains are for losers"))),
    after(60, N, Action::Chat(TROLL, Cow::Borrowed("trains are for losers"))),
    after(60, N, Action::Chat(TROLL, Cow::Borrowed("trains are for losers"))),
    after(60, N, Action::Chat(TROLL, Cow::Borrowed("trains are for losers"))),
    say(N, "Marit.K", "no pings here, and that link is as dead as your [entity=car]"),
    act(N, Action::Kick(TROLL, "Marit.K", "spam, and an insult to trains")),
    join(N, TROLL),
    say(N, TROLL, "im back ```lol``` @here"),
    act(N, Action::Ban(TROLL, "Marit.K", "came back to spam")),
    say(N, "old_pete", "the rails thank you"),
];

const CHEAT: &[Line] = &[
    say(S, "Tobbe", "we could just /c the [item=foundation] in"),
    act(S, Action::TryCommand("Tobbe", "game.player.insert\"foundation\"")),
    say(S, "Ines-77", "and lose the achievements? hands off the keyboard"),
    say(S, "Tobbe", "only testing on the sandbox force, promise"),
    act(S, Action::Command("Tobbe", "game.player.print(game.tick)")),
    act(S, Action::ServerChat(Cow::Borrowed("Restart tonight at 23:00 for a mod update"))),
];

const CRASH: &[Line] = &[
    say(S, "voidhauler", "is it me or is it {n} UPS"),
    say(S, "Juno", "it is the {n} thousand asteroids you parked over [planet=nauvis]"),
    after(2_000, S, Action::Crash),
    say(N, "Brindle", "uh, did the space people just all go quiet?"),
    after(5_000, S, Action::Start),
    after(900, S, Action::Join("Juno")),
    after(700, S, Action::Join("voidhauler")),
    say(S, "Juno", "it was the asteroids"),
    say(S, "voidhauler", "it was the asteroids"),
];

/// A copied and emptied log loses what nobody has read yet: nothing is written around it.
const ROTATION: &[Line] = &[
    after(3_000, N, Action::RotateCopyTruncate),
    after(3_000, N, Action::Autosave),
    say(N, "HexWrench", "anyone notice the log rotate? no? good"),
];

const MAINTENANCE: &[Line] = &[
    act(N, Action::ServerChat(Cow::Borrowed("Short restart, back in ten seconds"))),
    say(N, "old_pete", "let me just get off the rail"),
    after(3_000, N, Action::Stop),
    after(2_500, N, Action::RotateRename),
    after(2_500, N, Action::Start),
    after(900, N, Action::Join("HexWrench")),
    after(600, N, Action::Join("Marit.K")),
    after(600, N, Action::Join("old_pete")),
    say(N, "old_pete", "I did not get off the rail"),
];

const OUT_OF_STEP: &[Line] = &[
    act(S, Action::Desync("Tobbe")),
    say(S, "Tobbe", "map download bar again, brb"),
    act(S, Action::Leave("Tobbe")),
    join(S, "Tobbe"),
    say(S, "Tobbe", "back, in step with {n} ms ping"),
];
