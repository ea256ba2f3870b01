use std::sync::Arc;

use proptest::prelude::*;

use super::*;

fn tag(name: &str) -> ServerTag {
    ServerTag::new(name).unwrap()
}

/// What is shown of one file, and what is not.
fn shown(text: &str, max_series: usize) -> (String, Dropped) {
    let (file, dropped) = read(text, &tag("prod"), max_series);
    (weave("", &[(tag("prod"), Arc::new(file))]).0, dropped)
}

#[test]
fn a_file_of_graftorio2_gets_the_servers_label() {
    let file = "# HELP factorio_tick game tick\n# TYPE factorio_tick gauge\nfactorio_tick 3600\n\n\
        # HELP factorio_item_production_input items produced\n# TYPE factorio_item_production_input gauge\n\
        factorio_item_production_input{force=\"player\",name=\"iron-plate\"} 1.5e+15\n\
        factorio_item_production_input{force=\"player\",name=\"a \\\"b\\\\c\\n\"} -nan\n\n\
        # HELP factorio_train_trip_time_groups train trip time\n# TYPE factorio_train_trip_time_groups histogram\n\
        factorio_train_trip_time_groups_bucket{from=\"A\",le=\"10\"} 1\n\
        factorio_train_trip_time_groups_bucket{from=\"A\",le=\"+Inf\"} 2\n\
        factorio_train_trip_time_groups_sum{from=\"A\"} 30\nfactorio_train_trip_time_groups_count{from=\"A\"} 2\n";
    let (text, dropped) = shown(file, 100);
    assert_eq!(dropped, Dropped::default());
    insta::assert_snapshot!(text, @r#"
    # HELP factorio_item_production_input items produced
    # TYPE factorio_item_production_input gauge
    factorio_item_production_input{server="prod",force="player",name="iron-plate"} 1.5e+15
    factorio_item_production_input{server="prod",force="player",name="a \"b\\c\n"} NaN
    
    # HELP factorio_tick game tick
    # TYPE factorio_tick gauge
    factorio_tick{server="prod"} 3600
    
    # HELP factorio_train_trip_time_groups train trip time
    # TYPE factorio_train_trip_time_groups histogram
    factorio_train_trip_time_groups_bucket{server="prod",from="A",le="10"} 1
    factorio_train_trip_time_groups_bucket{server="prod",from="A",le="+Inf"} 2
    factorio_train_trip_time_groups_sum{server="prod",from="A"} 30
    factorio_train_trip_time_groups_count{server="prod",from="A"} 2
    "#);
}

#[test]
fn what_the_format_does_not_allow_is_left_out_and_the_rest_shown() {
    let file = "no_type 5 1700000000\n# TYPE a gauge\na 1\na 2\na{server=\"x\"} 3\na{x=\"1\",x=\"2\"} 4\na{x=\"1} 5\n\
        a{x=1} 6\n1a 7\na seven\na 8 9 10\na{__name__=\"b\"} 11\n# TYPE h histogram\nh 12\nh_bucket 13\nh_count 14\n\
        a{server=\"y\",exported_server=\"z\"} inf\n# EOF\n# HELP\n#\na";
    let (text, dropped) = shown(file, 100);
    insta::assert_snapshot!(text, @r#"
    # HELP a Written by a mod.
    # TYPE a gauge
    a{server="prod"} 1
    a{server="prod",exported_server="x"} 3
    a{server="prod",exported_server="z",exported_exported_server="y"} +Inf
    
    # HELP h Written by a mod.
    # TYPE h histogram
    h_count{server="prod"} 14
    
    # HELP no_type Written by a mod.
    # TYPE no_type untyped
    no_type{server="prod"} 5
    "#);
    assert_eq!(dropped, Dropped { invalid: 11, ..Dropped::default() });
}

#[test]
fn the_programs_own_names_are_not_taken() {
    let file = "factorio_isr_uptime_seconds 1\nprocess_cpu_seconds_total 2\nfactorio_isr_made_up 3\nfactorio_tick 4\n";
    let (text, dropped) = shown(file, 100);
    assert_eq!(
        text,
        "# HELP factorio_tick Written by a mod.\n# TYPE factorio_tick untyped\nfactorio_tick{server=\"prod\"} 4\n\n"
    );
    assert_eq!(dropped, Dropped { collided: 3, ..Dropped::default() });
}

#[test]
fn a_family_is_capped_and_a_histogram_never_cut_in_two() {
    let of = |from: &str| {
        let bucket = |le: &str| format!("h_bucket{{from=\"{from}\",le=\"{le}\"}} 1\n");
        bucket("1") + &bucket("+Inf") + &format!("h_sum{{from=\"{from}\"}} 1\nh_count{{from=\"{from}\"}} 1\n")
    };
    let histograms: String = ["A", "B", "C"].into_iter().map(of).collect();
    let file = format!("# TYPE h histogram\n{histograms}g{{n=\"1\"}} 1\ng{{n=\"2\"}} 1\n");
    let (text, dropped) = shown(&file, 2);
    let count = |word: &str| text.matches(word).count();
    assert_eq!([count("from=\"A\""), count("from=\"B\""), count("from=\"C\""), count("\ng{")], [4, 4, 0, 2]);
    assert_eq!(dropped, Dropped { capped: 4, ..Dropped::default() });
}

#[test]
fn a_family_of_several_servers_appears_once() {
    let file = |server: &str, kind: &str, value: u8| {
        let text = format!("# HELP t tick of {server}\n# TYPE t {kind}\nt {value}\n");
        (tag(server), Arc::new(read(&text, &tag(server), 9).0))
    };
    let files = [file("a", "gauge", 1), file("b", "gauge", 2), file("c", "counter", 3)];
    let (text, refused) = weave("", &files);
    assert_eq!(text, "# HELP t tick of a\n# TYPE t gauge\nt{server=\"a\"} 1\nt{server=\"b\"} 2\n\n");
    assert_eq!(refused, [tag("c")]);

    let own = "# HELP s other\n# TYPE s gauge\ns 1\n\n# HELP t ours\n# TYPE t gauge\nt{x=\"1\",server=\"a\"} 9\n\n";
    let (text, refused) = weave(own, &files);
    let expected = "# HELP s other\n# TYPE s gauge\ns 1\n\n# HELP t ours\n# TYPE t gauge\nt{x=\"1\",server=\"a\"} 9\nt{server=\"b\"} 2\n\n";
    assert_eq!((text.as_str(), refused), (expected, vec![tag("c")]));
}

#[test]
fn nothing_of_the_programs_own_is_changed_by_files_about_other_things() {
    let own = "# HELP s other\n# TYPE s gauge\ns 1\n\n";
    let file = Arc::new(read("t 1\n", &tag("a"), 9).0);
    assert!(weave(own, &[(tag("a"), file)]).0.starts_with(own));
}

proptest! {
    #[test]
    fn whatever_a_file_holds_what_is_shown_can_be_read(
        text in "(# TYPE |# HELP |a|h|_bucket|_sum|\\{|\\}|le=\"1\"|x=\"|\"|,|=| |1|inf| gauge| histogram|\\\\|\n|\\PC){0,40}",
    ) {
        let (first, _) = shown(&text, 3);
        let again = first.replace("server=\"prod\",", "").replace("{server=\"prod\"}", "{}");
        let (second, dropped) = shown(&again, 3);
        prop_assert_eq!(second, first);
        prop_assert_eq!(dropped, Dropped::default());
    }
}
