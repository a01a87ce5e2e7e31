//! Where names are shown and accepted.

use serde_json::Value;

use super::apart;
use crate::support::{BINARY, World, skip};

/// Creates slots, a queue and a segment by name in one shell.
const FIRST: &str = "
    ipcbox sem create $NAME-slots --slots 3 -q; ipcbox msgq create $NAME-queue -q; ipcbox shm create $NAME-board --size 9 -q";

/// Returns the output of a call. A list may lack the POSIX queues, and report that.
fn printed(world: &World, line: &str) -> String {
    String::from_utf8(world.call(line).output().stdout).unwrap()
}

/// Returns the records of a call.
fn records(world: &World, line: &str) -> Vec<Value> {
    printed(world, line).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Returns the names in the records of a call.
fn names(world: &World, line: &str) -> Vec<Value> {
    records(world, line).iter().map(|record| record["name"].clone()).collect()
}

#[test]
fn another_shell_sees_the_names() {
    let world = World::new();
    world.shell(FIRST).ok();
    let [slots, queue, board] = ["slots", "queue", "board"].map(|name| world.name(name));
    for (line, name) in [("sem stat", &slots), ("msgq stat", &queue), ("shm stat", &board)] {
        let text = printed(&world, line);
        assert!(text.lines().next().unwrap().contains("NAME") && text.contains(name.as_str()), "{line}: {text}");
        assert!(names(&world, &format!("{line} -J")).contains(&name.as_str().into()), "{line}");
    }
    let all = names(&world, "ipcs-lite -J");
    assert!([&slots, &queue, &board].iter().all(|name| all.contains(&name.as_str().into())), "{all:?}");
    let [found, queues] = ["ipcs-lite --name *-slots", "ipcs-lite -q --name *"].map(|line| printed(&world, line));
    assert!(found.contains(&slots) && !found.contains(&queue) && queues.contains(&queue), "{found}{queues}");
    world.shell("ipcbox sem rm $NAME-slots; ipcbox ipcrm-lite --msg $NAME-queue; ipcbox shm rm $NAME-board").ok();
    assert!(!names(&world, "ipcs-lite -J").contains(&slots.as_str().into()));
    let leaks = "ipcs-lite --leaks --columns verdict,name --no-header --";
    let leaks = world.call(&format!("{leaks} {BINARY} sem create @left -q"));
    let left = world.name("left");
    leaks.stdout(format!("leaked  {left}\n")).status(1);
    world.call("ipcrm-lite --sem @left").ok();
}

/// A list separates names by commas, and JSON is UTF-8.
#[test]
fn ambiguous_path_is_not_remembered() {
    let world = World::new();
    world.file("a,b", "");
    world.call("sem create @s").ok();
    let path = world.dir().join("a,b");
    let id = world.call("sem create").arg(format!("ftok:{}", path.display())).ok();
    world.call(&format!("sem stat {} --columns name --no-header", id.trim())).stdout("-\n").ok();
    world.call(&format!("sem rm {}", id.trim())).ok();
}

#[test]
fn object_is_named_by_id_and_key_too() {
    let world = World::new();
    world.shell(FIRST).ok();
    for (applet, name, option) in [("sem", "slots", "-s"), ("msgq", "queue", "-q"), ("shm", "board", "-m")] {
        let name = world.name(name);
        let id = &records(&world, &format!("{applet} stat {name} -J"))[0]["id"];
        let key = world.call("key").arg(&name).ok();
        for line in [
            format!("{applet} stat {id} -J"),
            format!("{applet} stat {key} -J"),
            format!("ipcs-lite {option} {id} -J"),
            format!("ipcs-lite {option} -i {id} -J"),
            format!("ipcs-lite {option} {id} -J --columns name"),
            format!("ipcrm-lite --{} {id} --dry-run -J", if applet == "msgq" { "msg" } else { applet }),
        ] {
            let found = names(&world, &line);
            assert!(!found.is_empty() && found.iter().all(|it| *it == name.as_str()), "{line}: {found:?}");
        }
    }
    // Without a name there is the id.
    let id = world.call("sem create private").ok();
    world.call(&format!("sem stat {id} --columns id,name --no-header")).stdout(format!("{}  -\n", id.trim())).ok();
    assert_eq!(names(&world, &format!("sem stat {id} -J")), [Value::Null]);
    world.call(&format!("sem rm {id}")).ok();
}

#[test]
fn holders_and_waiters_have_the_name() {
    let world = World::new();
    let _holder = world.call("sem run @s --slots 1 -- sleep 1000").start().became("sleep");
    let _waiter = world.call("sem run @s -- true").start().blocked_in(nix::libc::SYS_semtimedop);
    world.call("msgq create @q").ok();
    let _receiver = world.call("msgq recv @q").start().blocked_in(nix::libc::SYS_msgrcv);
    world.call("shm create @m --size 4").ok();
    let _mapper = world.call("shm wait @m 1").start().blocked_in(nix::libc::SYS_futex);
    for (applet, name, option) in
        [("sem", "s", "--holders"), ("sem", "s", "--waiters"), ("msgq", "q", "--waiters"), ("shm", "m", "--holders")]
    {
        let id = records(&world, &format!("{applet} stat @{name} -J"))[0]["id"].to_string();
        assert_eq!(names(&world, &format!("{applet} stat {id} {option} -J")), [world.name(name)]);
    }
    let id = records(&world, "sem stat @s -J")[0]["id"].to_string();
    assert_eq!(names(&world, &format!("ipcs-lite -s {id} --holders -J")), [world.name("s"), world.name("s")]);
}

#[test]
fn lists_sort_and_filter_by_name() {
    let world = World::new();
    if !world.is_own() {
        return skip("a complete list needs an IPC namespace");
    }
    for line in ["msgq create @b", "sem create @c", "shm create @a --size 1", "sem create private", "sem create 0xabc"]
    {
        world.call(line).ok();
    }
    let line = "ipcs-lite --columns name --no-header";
    let [a, b, c] = ["a", "b", "c"].map(|name| world.name(name));
    world.call(&format!("{line} --sort name")).stdout(format!("{a}\n{b}\n{c}\n-\n-\n")).ok();
    for (glob, found) in [
        ("*-b", format!("{b}\n")),
        ("*-[ac]", format!("{a}\n{c}\n")),
        ("*", format!("{b}\n{a}\n{c}\n")),
        ("b", String::new()),
        (&a, format!("{a}\n")),
    ] {
        world.call(line).args(["--name", glob]).stdout(found).ok();
    }
    world.call(&format!("{line} --name * -s")).stdout(format!("{c}\n")).ok();
    world.call(&format!("{line} --name *-b --keep {b}")).stdout("").ok();
    world.call("ipcs-lite --name").arg("").fails(2, "--name is empty");
    world.call("ipcs-lite -l --name x").fails(2, "cannot be used together");
    world.call("ipcs-lite --name").arg("[a").fails(2, "expected ']' after '[', not '[a'");
    // Without other options, too.
    let text = world.call("ipcs-lite --name *-b").ok();
    assert!(text.starts_with("KIND") && text.contains(&b), "{text}");
    // In the format of util-linux, which has no names.
    let text = world.call("ipcs-lite -t -q --name *-b").ok();
    assert!(text.contains("Message Queues") && !text.contains(&b), "{text}");
    let text = world.call("ipcs-lite -q --name *-c").ok();
    assert!(!text.contains("0x"), "{text}");
    world.call("ipcrm-lite --name *-[ab] --yes -v").ok();
    world.call(&format!("{line} --sort name")).stdout(format!("{c}\n-\n-\n")).ok();
    // A TARGET must match as well.
    world.call("ipcrm-lite @c --name nothing").ok();
    world.call("ipcrm-lite --name nothing --yes").ok();
    world.call("ipcrm-lite @c --name *-c").ok();
    world.call(line).stdout("-\n-\n").ok();
}

#[test]
fn filter_matches_posix_names() {
    let world = World::new();
    world.call("shm create /@m --size 1").ok();
    world.call("sem create /@s").ok();
    let [m, s] = ["m", "s"].map(|name| world.posix(name));
    let all = format!("{}*", world.posix(""));
    let shown = |glob: &str| world.call("ipcs-lite -Pms --columns name --no-header --name").arg(glob);
    shown(&all).stdout(format!("{m}\n{s}\n")).ok();
    shown(&all[1..]).stdout("").ok();
    // Only POSIX objects have such names.
    world.call("ipcs-lite -s --columns name --no-header --name").arg(&all).stdout(format!("{s}\n")).ok();
    world.call("ipcrm-lite --sem --yes --name").arg(&all).fails(2, "hint: add --posix");
    world.call("ipcrm-lite --posix --shm --yes --name").arg(&all).ok();
    shown(&all).stdout(format!("{s}\n")).ok();
}

#[test]
fn messages_name_an_existing_object() {
    let world = World::new();
    world.call("sem create @s --slots 2").ok();
    world.call("msgq create @q").ok();
    world.call("shm create @m --size 8").ok();
    let [s, q, m] = ["s", "q", "m"].map(|name| world.name(name));
    let key = |name: &String| world.call("key").arg(name).ok().trim().to_owned();
    let [s_key, q_key, m_key] = [&s, &q, &m].map(key);
    for (line, words) in [
        (format!("sem create {s_key} --slots 3"), format!("cannot create {s_key} ({s}): {s_key} has 2 slots, not 3")),
        (format!("sem create {s_key} --slots 2 -x"), format!("cannot create {s_key} ({s}): ")),
        (format!("msgq create {q_key} -x"), format!("cannot create {q_key} ({q}): ")),
        (
            format!("shm create {m_key} --size 9"),
            format!("cannot create {m_key} ({m}): already exists with 8 bytes, not 9"),
        ),
        // It is the same name.
        (format!("sem create {s} --slots 3"), format!("cannot create {s}: {s} has 2 slots, not 3")),
    ] {
        world.call(&line).fails(4, &words);
    }
    let id = records(&world, &format!("sem stat {s} -J"))[0]["id"].to_string();
    let words = format!("cannot lock {id} ({s}): {id} has 2 slots, not a lock");
    world.call(&format!("sem lock {id} -- true")).fails(125, &words);
}

#[test]
fn removal_by_id_reports_the_name() {
    let world = World::new();
    world.shell(FIRST).ok();
    let held = world.call("sem run @slots -- sleep 1000").start().became("sleep");
    let slots = world.name("slots");
    let id = records(&world, &format!("sem stat {slots} -J"))[0]["id"].to_string();
    let user = format!("in use by {} (sleep 1000): holds slot 1", held.pid());
    world.call(&format!("ipcrm-lite --sem {id}")).fails(1, &format!("cannot remove {id} ({slots}): {user}"));
    world.call(&format!("ipcrm-lite {slots}")).fails(1, &format!("cannot remove {slots}: {user}"));
    drop(held);
    world.call(&format!("ipcrm-lite --sem {id} -v")).stdout(format!("removing semaphore set {id} ({slots})\n")).ok();
    let queue = world.name("queue");
    let id = records(&world, &format!("msgq stat {queue} -J"))[0]["id"].to_string();
    let printed = format!("removing message queue {id} ({queue})\n");
    world.call(&format!("ipcrm-lite --msg {id} -v -J")).stderr(format!("ipcrm-lite: {printed}")).ok();
    // The message of util-linux has none.
    let id = records(&world, "shm stat @board -J")[0]["id"].to_string();
    let printed = format!("removing shared memory segment id `{id}'\n");
    world.call(&format!("ipcrm -v -m {id}")).stdout(printed).ok();
}

#[test]
fn kept_slots_are_named() {
    let world = World::new();
    if !world.is_own() {
        return skip("--unused without TARGET would remove objects of other tests");
    }
    let held = world.call("sem run @held --slots 1 -- sleep 1000").start().became("sleep");
    world.call("sem create 0xabc --slots 1").ok();
    world.call("sem create @free --slots 1").ok();
    let kept = format!("sem: kept {}: held by {} (sleep 1000)\n", world.name("held"), held.pid());
    world.call("sem rm --unused --yes").stderr(kept).ok();
    world.call("sem create 0xabc --slots 1").ok();
    drop(held);
    let hint = format!("hint: ipcbox sem rm --unused {} {}\n", world.name("held"), "ID");
    let id = records(&world, "sem stat 0xabc -J")[0]["id"].to_string();
    let left = format!("ipcrm-lite: would leave 2 sets of slots alone\n{}", hint.replace("ID", &id));
    world.call("ipcrm-lite -a --dry-run").stderr(left).ok();
}

#[test]
fn leak_is_reported_with_its_name() {
    let world = World::new();
    let line = "ipcs-lite --leaks --columns verdict,kind,name --no-header --isolate";
    let words = "-q -s -m -- sh -c";
    let call = |script: &str| world.shell(&format!("ipcbox {line} {words} '{script}'"));
    let name = |name| world.name(name);
    let printed = format!("leaked  msg  {}\nleaked  shm  {}\n", name("queue"), name("board"));
    let script = FIRST.replace("ipcbox sem create $NAME-slots --slots 3 -q;", "").replace('\n', " ");
    call(&script).stdout(printed).status(1);
}

/// The two names have the key 0x5e4daa9d.
#[test]
fn two_names_of_one_key_are_shown() {
    let world = World::new();
    let script = "
        ipcbox sem create costarring --value 5 -q; ipcbox msgq send liquid x --create 2>&1
        # The warning comes once.
        ipcbox shm create liquid --size 1 -q; ipcbox msgq create liquid -q; ipcbox sem run costarring -- true 2>/dev/null || :
        for line in 'sem stat' 'msgq stat' 'shm stat' ipcs-lite; do ipcbox $line --columns name --no-header; done
        for name in costarring liquid; do ipcbox ipcs-lite --name $name --columns kind --no-header; done
        # A name that is typed is shown as it is, and the other one in a message.
        ipcbox sem stat liquid --columns name --no-header
        ipcbox sem create liquid --value 4 2>&1 || echo $?";
    let Some(text) = apart(&world, "mode=1777", script) else { return };
    let warning = "msgq: liquid has the same key as costarring, so both names stand for the same objects\n";
    let (both, kinds) = ("costarring,liquid\n".repeat(6), "msg\nshm\nsem\n".repeat(2));
    let failed = "sem: cannot create liquid (costarring): already exists with value 5, not 4\n4\n";
    assert_eq!(text, format!("{warning}{both}{kinds}liquid\n{failed}"));
}

/// If the object exists, nothing is created, but the caller takes it for a new one.
#[test]
fn create_warns_of_another_name() {
    let world = World::new();
    for line in ["sem create", "msgq create", "shm create --size 4"] {
        let applet = line.split(' ').next().unwrap();
        let script = format!(
            "ipcbox {line} -q costarring; ipcbox {line} -q liquid 2>&1
            ipcbox {line} -q liquid; ipcbox {applet} rm liquid
            # A name without an object is no reason to warn.
            rm $FILE; ipcbox {line} -q costarring; ipcbox {applet} rm costarring; ipcbox {line} -q liquid"
        );
        let Some(text) = apart(&world, "mode=1777", &script) else { return };
        let warning = "liquid has the same key as costarring, so both names stand for the same objects";
        assert_eq!(text, format!("{applet}: {warning}\n"));
    }
}

#[test]
fn ftok_target_is_shown_while_it_holds() {
    let world = World::new();
    let file = world.file("f", "");
    let target = format!("ftok:{}", file.display());
    let id = world.call("sem create ftok:f").ok();
    let shown = || world.call(&format!("sem stat {id} --columns name --no-header")).ok();
    assert_eq!(shown(), format!("{target}\n"));
    world.call("msgq create ftok:./f:7").ok();
    assert!(names(&world, "msgq stat -J").contains(&format!("{target}:7").into()));
    // The path is another file now, and then none.
    std::fs::rename(&file, world.dir().join("g")).unwrap();
    world.file("f", "");
    assert_eq!(shown(), "-\n");
    std::fs::remove_file(&file).unwrap();
    assert_eq!(shown(), "-\n");
    std::fs::rename(world.dir().join("g"), &file).unwrap();
    assert_eq!(shown(), format!("{target}\n"));
    for target in ["ftok:f", "ftok:f:7"] {
        world.call(&format!("ipcrm-lite {target}")).ok();
    }
    // A line cannot hold this path.
    let odd = world.file("a\nb", "");
    let id = world.call("sem create").arg(format!("ftok:{}", odd.display())).ok();
    world.call(&format!("sem stat {id} --columns name --no-header")).stdout("-\n").ok();
    world.call(&format!("sem rm {id}")).ok();
}

#[test]
fn users_see_their_own_names_and_root_all() {
    let world = World::new();
    if world.stranger().is_none() {
        return;
    }
    let script = "
        as() { setpriv --reuid=54321 --regid=54321 --clear-groups \"$@\"; }
        ipcbox sem create ours -m 644 -q; as ipcbox msgq create theirs -m 644 -q; as ipcbox shm create given --size 1 -q
        ipcbox shm set given --owner 12345
        as ipcbox ipcs-lite --columns name --no-header; ipcbox ipcs-lite --columns name --no-header
        as ipcbox sem stat ours --columns name --no-header
        ipcbox ipcs-lite --name theirs --columns kind --no-header
        # A name that another user gives to an object of root does not count.
        ipcbox sem create costarring -q; ipcbox sem rm ours
        as sh -c \"echo '5e4daa9d liquid' >/dev/shm/.ipcbox-names.54321\"
        ipcbox sem stat --columns name --no-header; as ipcbox sem stat --columns name --no-header
        # Root has seen no name of its own there.
        chown 0 /dev/shm/.ipcbox-names.54321; as ipcbox sem stat --columns name --no-header";
    let Some(text) = apart(&world, "mode=1777", script) else { return };
    let (users, roots) = ("theirs\ngiven\n-\n", "theirs\ngiven\nours\n");
    assert_eq!(text, format!("{users}{roots}ours\nmsg\ncostarring\nliquid\n-\n"));
}

#[test]
fn format_of_util_linux_has_no_names() {
    let world = World::new();
    if !world.is_own() || !world.shell("command -v ipcs").output().status.success() {
        return skip("needs an IPC namespace of its own, and ipcs(1)");
    }
    world.shell(FIRST).ok();
    for option in ["", "-t", "-p", "-c", "-l", "-u"] {
        let theirs = world.shell(&format!("ipcs {option}")).ok();
        world.call(&format!("ipcs-lite {option}")).stdout(theirs).ok();
    }
}
