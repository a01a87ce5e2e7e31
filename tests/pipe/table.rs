//! Every combination of statuses of three stages, compared with PIPESTATUS in bash.

use super::pipe;
use crate::support::{Call, World, lines};

/// How a stage exits: its script, and its status in a shell.
const ENDS: [(&str, u8); 5] = [("exit 0", 0), ("exit 1", 1), ("kill -KILL $$", 137), ("kill -PIPE $$", 141), ("", 127)];

/// The words of a stage. An empty script is a missing command.
fn words(script: &str) -> Vec<&str> {
    if script.is_empty() { vec!["no-such-command"] } else { vec!["sh", "-c", script] }
}

/// Whether a stage killed by SIGPIPE has not failed: the first of its readers that was not killed so has succeeded.
fn forgiven(statuses: &[u8], place: usize) -> bool {
    let mut from = statuses[place..].iter();
    statuses[place] == 141 && from.find(|status| **status != 141) == Some(&0)
}

/// The status expected: 127 if a command is missing, else that of the last stage that failed.
fn expected(statuses: &[u8]) -> u8 {
    if statuses.contains(&127) {
        return 127;
    }
    let failed = |place: &usize| statuses[*place] != 0 && !forgiven(statuses, *place);
    (0..statuses.len()).rfind(failed).map_or(0, |place| statuses[place])
}

#[test]
fn statuses_of_three_stages_match_bash() {
    let world = World::new();
    let combinations: Vec<[(&str, u8); 3]> =
        ENDS.iter().flat_map(|a| ENDS.iter().flat_map(move |b| ENDS.iter().map(move |c| [*a, *b, *c]))).collect();
    let quoted = |script: &str| words(script).iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(" ");
    let script: Vec<String> = combinations
        .iter()
        .map(|stages| {
            let line = stages.map(|(script, _)| quoted(script)).join(" | ");
            format!("{{ {line}; }} 2>/dev/null; echo ${{PIPESTATUS[*]}}\n")
        })
        .collect();
    let bash = Call::new("bash").args(["-c", &script.concat()]).output();
    let bash = lines(&bash.stdout);
    assert_eq!(bash.len(), combinations.len());
    for (stages, bash) in combinations.iter().zip(bash) {
        let statuses = stages.map(|(_, status)| status);
        let line = stages.map(|(script, _)| words(script)).join(&":::");
        let file = world.dir().join("report");
        let report = file.to_str().unwrap();
        let call = pipe(&["run", "--report", report, "--"]).args(&line);
        let code = call.output().status.code();
        assert_eq!(code, Some(expected(&statuses).into()), "{stages:?}");
        let bash: Vec<u8> = bash.split(' ').map(|status| status.parse().unwrap()).collect();
        assert_eq!(bash, statuses, "{stages:?}");
        let shown: Vec<serde_json::Value> =
            std::fs::read_to_string(&file).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(shown.len(), 3, "{stages:?}");
        let ran = !statuses.contains(&127);
        for (place, (record, status)) in shown.iter().zip(bash).enumerate() {
            assert_eq!(record["stage"], place + 1);
            assert_eq!(record["pid"].is_null(), !ran, "{stages:?}");
            let known = ran || status == 127;
            assert_eq!(record["status"].as_u64(), known.then_some(status.into()), "{stages:?}");
            let signal = match status {
                137 if ran => "KILL",
                141 if ran => "PIPE",
                _ => "",
            };
            assert_eq!(record["signal"].as_str().unwrap_or_default(), signal, "{stages:?}");
            let is_forgiven = ran.then(|| forgiven(&statuses, place));
            assert_eq!(record["forgiven"].as_bool(), is_forgiven, "{stages:?}");
            for key in ["wall_s", "user_s", "system_s", "max_rss_bytes"] {
                assert_eq!(record[key].is_number(), ran, "{stages:?} {key}");
            }
        }
        assert_eq!(shown[0]["argv"], serde_json::json!(words(stages[0].0)));
    }
}

#[test]
fn strict_forgives_nothing() {
    let line = ["yes", ":::", "head", "-1"];
    pipe(&["run", "--"]).args(line).stdout("y\n").ok();
    pipe(&["run", "--strict", "--"]).args(line).stdout("y\n").status(141);
    // A shell whose last command was killed by SIGPIPE exits with status 141.
    let shell = pipe(&["run", "--report", "/dev/fd/2", "--shell", ":; yes; exit $?", "head -1"]).output();
    let report = String::from_utf8(shell.stderr).unwrap();
    assert!(shell.status.success(), "{report}");
    assert!(report.contains(r#""status":141,"signal":null,"forgiven":true"#), "{report}");
    pipe(&["run", "--strict", "--shell", ":; yes; exit $?", "head -1"]).stdout("y\n").status(141);
    // Along a chain of stages.
    pipe(&["run", "--", "yes", ":::", "cat", ":::", "head", "-1"]).stdout("y\n").ok();
    pipe(&["run", "--", "yes", ":::", "sh", "-c", "read x; exit 3"]).status(3);
}
