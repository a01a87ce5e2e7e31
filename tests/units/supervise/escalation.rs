use super::*;

#[test]
fn step_has_signal_and_time() {
    assert_eq!(step("kill"), Ok(Step { signal: Signal::KILL, grace: GRACE }));
    let half = Duration::from_millis(500);
    assert_eq!(step("INT:0.5"), Ok(Step { signal: Signal::INT, grace: half }));
    for text in ["", ":5", "TERM:", "TERM:x", "0", "TREM:1"] {
        assert!(step(text).is_err(), "{text}");
    }
}

#[test]
fn finished_plan_has_no_deadline() {
    let mut plan = Plan::start(Duration::ZERO, vec![step("TERM:0").unwrap()]);
    assert!(plan.deadline.is_over());
    assert_eq!(plan.due(), Some(Signal::TERM));
    assert!(plan.deadline.is_over());
    assert_eq!(plan.due(), None);
    assert_eq!(plan.deadline, Deadline::Forever);
}

#[test]
fn timeout_names_each_way_to_exit_once() {
    let limit = Limit::from(Steps { max_time: Some(Duration::from_secs(1)), ..Steps::default() });
    let (killed, exited) = (Ended::Killed(Signal::TERM), Ended::Exited(3));
    for (ends, expected) in [
        (vec![], "a timed out after 1s"),
        (vec![killed, killed], "a timed out after 1s (killed by SIGTERM)"),
        (vec![killed, exited], "a timed out after 1s (killed by SIGTERM, exited with status 3)"),
    ] {
        assert_eq!(limit.timed_out("a", ends).to_string(), expected);
    }
}
