use super::*;

#[test]
fn link_is_an_applet_name_or_ends_in_one() {
    for (base, name) in [
        ("sem", Some("sem")),
        ("ipc-sem", Some("sem")),
        ("ipcbox-sem", Some("sem")),
        ("ipcs", Some("ipcs-lite")),
        ("ipcs-lite", Some("ipcs-lite")),
        ("my-ipcrm", Some("ipcrm-lite")),
    ] {
        assert_eq!(linked(base).map(|(applet, _)| applet.name), name, "{base}");
    }
    for base in ["ipcbox", "ipcbox-x86_64", "xsem", "sem-", ""] {
        assert!(linked(base).is_none(), "{base}");
    }
}

#[test]
fn parser_is_sound_and_arguments_have_help() {
    let all = APPLETS.iter().flat_map(|applet| applet.verbs).chain(WORDS);
    for verb in all {
        let parser = verb.parser("ipcbox x", &[]);
        parser.clone().debug_assert();
        for arg in parser.get_arguments() {
            assert!(arg.get_help().is_some(), "{} {}", verb.name, arg.get_id());
        }
    }
}
