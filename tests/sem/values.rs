//! `sem create`, `wait`, `post`, `op`, `get` and `set`.

use nix::libc;

use crate::support::{World, lines, skip};

#[test]
fn create_prints_the_id_and_sets_the_values() {
    let world = World::new();
    let id = world.call("sem create @a --value 3").ok();
    assert!(id.trim().parse::<i32>().is_ok(), "{id}");
    world.call("sem get @a").stdout("3\n").ok();
    world.call(&format!("sem get {id}")).stdout("3\n").ok();
    world.call("sem create @b").ok();
    world.call("sem get @b").stdout("0\n").ok();
    world.call("sem create @c --value 1,2,3").ok();
    world.call("sem get @c --all").stdout("1 2 3\n").ok();
    world.call("sem create @d --value 5 --nsems 4").ok();
    world.call("sem get @d --all").stdout("5 5 5 5\n").ok();
    world.call("sem create @e --nsems 2").ok();
    world.call("sem get @e --all").stdout("0 0\n").ok();
    world.call("sem create @f --value 0,32767").ok();
    world.call("sem get @f -i 1").stdout("32767\n").ok();
    let private = world.call("sem create private --value 1").ok();
    let another = world.call("sem create private").ok();
    assert_ne!(private, another);
    world.call(&format!("sem get {private}")).stdout("1\n").ok();
    world.call(&format!("sem rm {private} {another}")).ok();
}

#[test]
fn create_of_a_different_existing_set_is_4() {
    let world = World::new();
    let id = world.call("sem create @a --value 2").ok();
    world.call("sem create @a --value 2").stdout(id.clone()).ok();
    world.call("sem create @a").stdout(id).ok();
    world.call("sem get @a").stdout("2\n").ok();
    world.call("sem create @a --nsems 3").fails(4, "already exists with 1 semaphore, not 3");
    world.call("sem create @a -x").fails(4, "EEXIST");
    world.call("sem create @a --slots 2").fails(4, "is a plain semaphore, not slots");

    world.call("sem create @s --slots 2").ok();
    world.call("sem create @s --slots 2").ok();
    world.call("sem create @s --slots 2 --exclusive").fails(4, "EEXIST");
    world.call("sem create @s --slots 3").fails(4, "has 2 slots, not 3");
    world.call("sem create @s").fails(4, "has 2 slots, not a plain set");
    world.call("sem run @s --slots 2 -- true").ok();

    world.call("sem create /@p --value 1").ok();
    world.call("sem create /@p --value 5").fails(4, "already exists with value 1, not 5");
    world.call("sem get /@p").stdout("1\n").ok();
    world.call("sem create /@p -x").fails(4, "EEXIST");
}

#[test]
fn wait_and_post_last_after_the_call() {
    let world = World::new();
    for target in ["@a", "/@a"] {
        world.call(&format!("sem create {target}")).ok();
        world.call(&format!("sem post {target}")).stdout("").ok();
        world.call(&format!("sem v {target}")).ok();
        world.call(&format!("sem wait {target}")).stdout("").ok();
        world.call(&format!("sem get {target}")).stdout("1\n").ok();
        world.call(&format!("sem p {target}")).ok();
        world.call(&format!("sem get {target}")).stdout("0\n").ok();
    }
    world.call("sem create @b --value 1,1,1").ok();
    world.call("sem post @b -i 2 --by 4").ok();
    world.call("sem wait @b --index 2 --by 3").ok();
    world.call("sem get @b --all").stdout("1 1 2\n").ok();
    world.call("sem wait @b -i 2 --zero -n").fails(124, "the value is 2, not 0");
    world.call("sem wait @b -i 2 --by 2").ok();
    world.call("sem wait @b -i 2 --zero -n").ok();
}

#[test]
fn op_does_all_or_nothing_in_the_order_given() {
    let world = World::new();
    world.call("sem create @a --value 1,0,5,0").ok();
    world.call("sem op @a 0:-1 2:-6 -n").fails(124, "the values are ");
    world.call("sem get --all @a").stdout("1 0 5 0\n").ok();
    world.call("sem op @a 0:-1 2:-5 1:+7").stdout("").ok();
    world.call("sem get --all @a").stdout("0 7 0 0\n").ok();
    // In the given order: adding first succeeds, taking first waits.
    world.call("sem op @a 0:+1 0:-1").ok();
    world.call("sem op @a 0:-1 0:+1 -n").fails(124, "semaphore 0 is 0");
    world.call("sem op @a 2..3:0 0..3:+2").ok();
    world.call("sem get --all @a").stdout("2 9 2 2\n").ok();
    // An operation with n fails the whole array at once, without -n.
    world.call("sem op @a 0:+1 1:-100n -w 1h").fails(124, "the values are ");
    world.call("sem get --all @a").stdout("2 9 2 2\n").ok();
}

#[test]
fn undo_lasts_as_long_as_the_process() {
    let world = World::new();
    world.call("sem create @a --value 2,2").ok();
    world.call("sem op @a 0:-1u").ok();
    world.call("sem op @a --undo 0:-1 1:-2").ok();
    world.call("sem get --all @a").stdout("2 2\n").ok();
    let command = world.call("sem op @a 0:-1u 1:-1 -- sleep 100").start().became("sleep");
    world.call("sem get --all @a").stdout("1 1\n").ok();
    drop(command);
    world.call("sem get --all @a").stdout("2 1\n").ok();
    world.call("sem op @a 0:-1 -- sh -c").arg("exit 9").status(9);
    world.call("sem op @a 0:-9 -n -- true").fails(124, "semaphore 0 is 1");
    world.call("sem op @nope 0:-1 -- true").fails(125, "no such semaphore set");
    world.call("sem op @nope 0:-1").fails(3, "no such semaphore set");
    world.call("sem op @a 0:-1 -- nosuchcommand").fails(127, "command not found");
    world.call("sem get --all @a").stdout("1 1\n").ok();
}

#[test]
fn set_changes_values_mode_and_owner() {
    let world = World::new();
    world.call("sem create @a --value 1,2,3,4").ok();
    world.call("sem set @a 9").stdout("").ok();
    world.call("sem set @a -i 3 8").ok();
    world.call("sem set @a 1..2=0").ok();
    world.call("sem get @a --all").stdout("9 0 0 8\n").ok();
    world.call("sem set @a 0..3=7 1=6").ok();
    world.call("sem get @a --all").stdout("7 6 7 7\n").ok();
    world.call("sem set @a -m 0640").ok();
    world.call("sem stat @a --columns mode --no-header").stdout("0640\n".repeat(4)).ok();
    world.call("sem set @a").fails(2, "nothing to set");
    world.call("sem set @a 4 5").fails(2, "a VALUE without an index sets only one semaphore");
    world.call("sem set @a -i 2 0=7").fails(2, "a VALUE without an index sets only one semaphore");
    world.call("sem set @a --owner 4294967295").fails(2, "no user '4294967295'");
    let Some(stranger) = world.stranger() else {
        skip("in part: giving an object away wants root");
        return;
    };
    world.call(&format!("sem set @a --owner {stranger}:1")).ok();
    world
        .call("sem stat @a --columns uid,gid,mode --no-header")
        .stdout(format!("{stranger}  1  0640\n").repeat(4))
        .ok();
    // A new mode does not change the owner, and the new owner can give it away.
    world.call("sem set @a -m 600").user(stranger).ok();
    world.call("sem set @a --owner root").user(stranger).ok();
    world.call("sem set @a -m 666").user(stranger).fails(5, "owned by root (EPERM)");
}

#[test]
fn waiter_before_the_first_values_is_served() {
    let world = World::new();
    let Some(program) = super::interop::compiled(&world, "sysv.c") else { return };
    // A set between the two system calls of its creator.
    let key = world.call("key @a").ok();
    let sysv = |words: &[&str]| world.program(&program).args(words);
    sysv(&["create", key.trim(), "1"]).ok();
    let early = world.call("sem wait @a").start().blocked_in(libc::SYS_semtimedop);
    sysv(&["op", key.trim(), "0", "3"]).ok();
    assert_eq!(early.code(), 0);
    world.call("sem get @a").stdout("2\n").ok();
    world.call("sem rm @a").ok();

    // A post before the first values counts.
    sysv(&["create", key.trim(), "1"]).ok();
    world.call("sem post @a").ok();
    sysv(&["op", key.trim(), "0", "3"]).ok();
    world.call("sem get @a").stdout("4\n").ok();
}

#[test]
fn set_without_first_values_is_reported() {
    let world = World::new();
    let Some(program) = super::interop::compiled(&world, "sysv.c") else { return };
    let create = |target: &str| {
        let key = world.call("key").arg(target).ok();
        world.program(&program).args(["create", key.trim(), "1"]).ok();
    };
    create(&world.name("a"));
    let printed = format!(
        "sem: {0} was never initialised\n\
         hint: set the first value: ipcbox sem set {0} VALUE\n",
        world.name("a")
    );
    world.call("sem get @a").stdout("0\n").stderr(&printed).ok();
    world.call("sem stat @a --columns value --no-header").stdout("0\n").stderr(&printed).ok();
    world.call("sem create @a --value 1").fails(4, "already exists, but was never initialised");
    // The hint works as printed, whatever the target.
    let target = "ftok:a;touch b";
    world.file("a;touch b", "");
    for words in [&["sem", "get", target][..], &["sem", "create", target, "--value", "1"]] {
        create(target);
        let printed = lines(&world.program("ipcbox").args(words).output().stderr);
        let hint = printed[1].strip_prefix("hint: set the first value: ").unwrap();
        assert_eq!(hint, "ipcbox sem set 'ftok:a;touch b' VALUE");
        world.shell(&hint.replace("VALUE", "1")).ok();
        world.call("sem get").arg(target).stdout("1\n").stderr("").ok();
        world.call("sem rm").arg(target).ok();
    }
    world.call("sem create @a").ok();
    // It can be used as it is.
    world.call("sem post @a").ok();
    world.call("sem get @a").stdout("1\n").stderr("").ok();
    // A set of zeros created by ipcbox is initialised.
    world.call("sem create @z --nsems 4").ok();
    world.call("sem get @z").stdout("0\n").stderr("").ok();
    world.call("sem lock @z -- true").fails(125, "is a plain set of 4 semaphores, not a lock");
}
