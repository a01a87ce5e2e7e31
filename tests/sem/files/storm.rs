//! SIGKILL at random instants, to callers, CMDs and watchers.

use crate::sem::storm::Storm;

fn storm_of_slots(slots: u16) {
    let mut storm = Storm::of("./s", true);
    storm.rage(16, |world, dice| {
        let take = if slots > 1 && dice.below(8) == 0 { 2 } else { 1 };
        let job = "exec ./job $IPCBOX_SLOT *${IPCBOX_SLOT%,*}* *${IPCBOX_SLOT#*,}*";
        world.call(&format!("sem run ./s --slots {slots} --take {take} -q -w 60 -- sh -c")).arg(job)
    });
    storm.world.call(&format!("sem run ./s --take {slots} -w 60 -- true")).ok();
    storm.world.call("sem stat ./s --columns used,waiting --no-header").stdout(format!("0/{slots}  0\n")).ok();
}

#[test]
fn storm_leaves_one_slot_in_a_file_free() {
    storm_of_slots(1);
}

#[test]
fn storm_leaves_two_slots_in_a_file_free() {
    storm_of_slots(2);
}

#[test]
fn storm_leaves_four_slots_in_a_file_free() {
    storm_of_slots(4);
}

#[test]
fn storm_leaves_a_lock_in_a_file_free() {
    let mut storm = Storm::of("./l", true);
    storm.most_frozen = 4;
    storm.rage(16, |world, dice| {
        let limit = ["0.02", "60", "60"][dice.below(3)];
        match dice.below(2) {
            0 => world.call(&format!("sem lock ./l -q -w {limit} -- ./job writer writer reader.*")),
            _ => world.call(&format!("sem lock ./l -q -s -w {limit} -- sh -c")).arg("exec ./job reader.$$ writer"),
        }
    });
    storm.world.call("sem lock ./l -w 60 -- true").ok();
    storm.world.call("sem stat ./l --columns used,waiting --no-header").stdout("0/1  0\n").ok();
}
