//! `ipcrm` and `ipcrm-lite`: the kind of a word, by the options before it.

use crate::support::{Call, World, skip};

/// The names it is called by, and the word that selects the applet.
const NAMES: [(&str, &str); 3] = [("ipcrm", ""), ("ipcbox", "ipcrm "), ("ipcrm-lite", "")];

/// Three segments, queues and sets, with ids 0 to 2 and keys 0x10 to 0x12; `None` without a namespace of its own.
fn three_of_each() -> Option<World> {
    let world = World::new();
    if !world.is_own() {
        skip("it needs an IPC namespace of its own");
        return None;
    }
    let make = "for n in 0 1 2; do
        ipcbox shm create 0x1$n --size 9; ipcbox msgq create 0x1$n; ipcbox sem create 0x1$n; done";
    world.shell(make).ok();
    Some(world)
}

fn call(world: &World, (name, applet): (&str, &str), line: &str) -> Call {
    world.call(&format!("{applet}{line}")).called(name)
}

/// The existing objects, such as `msg 0,shm 2`.
fn left(world: &World) -> String {
    let left = world.call("ipcs-lite --columns kind,id --no-header").ok();
    let words = left.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
    words.collect::<Vec<_>>().join(",")
}

const SHMS: &str = "shm 0,shm 1,shm 2";
const MSGS: &str = "msg 0,msg 1,msg 2";
const SEMS: &str = "sem 0,sem 1,sem 2";

#[test]
fn word_after_an_option_is_of_its_kind() {
    for name in NAMES {
        for (line, gone) in [
            ("-m 0 2", [("shm", 0), ("shm", 2)].as_slice()),
            ("-m 0 2 1", &[("shm", 0), ("shm", 1), ("shm", 2)]),
            ("-q 0 2", &[("msg", 0), ("msg", 2)]),
            ("-s 0 2", &[("sem", 0), ("sem", 2)]),
            ("-M 0x10 0x12", &[("shm", 0), ("shm", 2)]),
            ("-Q 0x10 18", &[("msg", 0), ("msg", 2)]),
            ("-S 020 022", &[("sem", 0), ("sem", 2)]),
            ("--shmem-id 0 2", &[("shm", 0), ("shm", 2)]),
            ("--queue-id=0 2", &[("msg", 0), ("msg", 2)]),
            ("--semaphore-key 0x10 0x12", &[("sem", 0), ("sem", 2)]),
            ("-v -m 0 2 -q 1 -s 2 -- 0", &[("shm", 0), ("shm", 2), ("msg", 1), ("sem", 0), ("sem", 2)]),
            ("-m 0 --sem 1 -q 1 2", &[("shm", 0), ("sem", 1), ("msg", 1), ("msg", 2)]),
            ("--sem 1 -m 1 2", &[("sem", 1), ("shm", 1), ("shm", 2)]),
        ] {
            let Some(world) = three_of_each() else { return };
            call(&world, name, line).ok();
            let all = format!("{MSGS},{SHMS},{SEMS}");
            let is_gone = |one: &str| gone.iter().any(|(kind, id)| *one == format!("{kind} {id}"));
            let expected: Vec<&str> = all.split(',').filter(|one| !is_gone(one)).collect();
            assert_eq!(left(&world), expected.join(","), "{name:?} {line}");
        }
    }
}

#[test]
fn word_of_another_kind_is_missing() {
    for name in NAMES {
        let Some(world) = three_of_each() else { return };
        world.call("ipcrm -m 2").ok();
        let others = format!("{MSGS},shm 1,{SEMS}");
        call(&world, name, "-m 0 2").fails(3, "invalid id (2)");
        assert_eq!(left(&world), others, "{name:?}");
        call(&world, name, "-M 0x10 0x12").output();
        assert_eq!(left(&world), others, "{name:?}");
        world.call("msgq create @jobs").ok();
        // A name is of that kind, too.
        call(&world, name, &format!("-M 0x10 {}", world.name("jobs"))).output();
        call(&world, name, &format!("-s 1 {}", world.name("jobs"))).output();
        assert_eq!(left(&world), "msg 0,msg 1,msg 2,msg 3,shm 1,sem 0,sem 2", "{name:?}");
    }
}

#[test]
fn list_from_xargs_stays_in_its_kind() {
    let Some(world) = three_of_each() else { return };
    world.shell("ipcs -m | awk '$2 ~ /^[0-9]+$/ { print $2 }' | xargs ipcbox ipcrm -m").ok();
    assert_eq!(left(&world), format!("{MSGS},{SEMS}"));
}

#[test]
fn number_of_no_certain_kind_is_refused() {
    for name in NAMES {
        let Some(world) = three_of_each() else { return };
        for (line, words) in [
            ("2 -m 0", "'2' could be the id of any kind"),
            ("shm 0 -q 1", "no option can name objects after 'shm'"),
            ("shm 0 -q 1 2", "no option can name objects after 'shm'"),
            ("-m 0 0x10", "failed to parse argument: '0x10'"),
            ("-M 0x10 0", "illegal key (0)"),
            ("-a 2", "unknown argument: 2"),
            ("-m 0 2 /x", "add --posix to remove POSIX objects"),
        ] {
            call(&world, name, line).fails(2, words);
        }
        assert_eq!(left(&world), format!("{MSGS},{SHMS},{SEMS}"), "{name:?}");
    }
}

/// util-linux removes all, and refuses the word afterwards.
#[test]
fn word_beside_all_is_refused() {
    let Some(world) = three_of_each() else { return };
    for line in ["-a shm 2", "-ashm 2", "--all=shm 0x12", "-v -a -- 2"] {
        world.call(&format!("ipcrm {line}")).fails(2, "takes no TARGET");
    }
    assert_eq!(left(&world), format!("{MSGS},{SHMS},{SEMS}"));
}

/// The three options of util-linux 2.41, which removes what they name even if it is in use.
#[test]
fn posix_options_remove_by_name() {
    let world = World::new();
    let make = |names: &str| {
        for name in names.split(' ') {
            world.call(&format!("shm create /@{name} --size 4")).ok();
            world.call(&format!("sem create /@{name}")).ok();
            world.call(&format!("msgq create /@{name}")).ok();
        }
    };
    let name = |name: &str| world.posix(name);
    for called in ["ipcrm", "ipcrm-lite"] {
        let call = |line: &str| world.call(line).called(called);
        make("a b");
        let _open = world.shell(&format!("exec 9</dev/shm{}; exec sleep 1000", name("a"))).start().became("sleep");
        call("--posix-shmem /@a").stdout("").ok();
        // The slash is optional, and a word is one more object of the kind.
        call("--posix-shmem").arg(&name("b")[1..]).ok();
        call("--posix-mqueue /@a /@b --posix-sem /@a -v")
            .stdout(format!(
                "removing POSIX queue {}\nremoving POSIX queue {}\nremoving POSIX semaphore {}\n",
                name("a"),
                name("b"),
                name("a")
            ))
            .ok();
        call("--posix-semaphore /@b --dry-run --columns kind,family --no-header").stdout("sem  posix\n").ok();
        call("--posix-semaphore=/x/y").fails(2, "'/x/y' is not the name of a POSIX object");
        call("--posix-semaphore /@b").ok();
        for option in ["--posix-semaphore", "--posix-shmem", "--posix-mqueue"] {
            let gone = name("b");
            call(option).arg(&gone).fails(3, &format!("invalid name ({gone})"));
            call(option).arg(&gone).arg("--missing-ok").ok();
        }
    }
}

/// All tests share `/dev/shm`, so a whole kind is removed only in another one.
#[test]
fn posix_kind_is_removed_whole() {
    let world = World::new();
    let script = r"mount -t tmpfs none /dev/shm || exit 7
        for name in /a /b; do
            $BOX shm create $name --size 4; $BOX sem create $name; $BOX msgq create $name
        done >/dev/null
        $BOX msgq create q >/dev/null
        left() { $BOX ipcs-lite --posix --columns kind,family --no-header | sort | uniq -c | tr -s ' \n' ' '; echo; }
        $BOX ipcrm -a pshm; left
        $BOX ipcrm-lite -apmsg 2>err || { echo $?; grep -o 'yes was not given' err; }
        $BOX ipcrm-lite --all=pmsg --yes --force; left
        $BOX ipcrm -a; left
        $BOX ipcrm -v --all=psem; left";
    let call = Call::new("unshare").args(["--ipc", "--mount", "sh", "-euc", script]);
    let output = call.env("BOX", crate::support::BINARY).dir(world.dir()).output();
    if [Some(1), Some(7)].contains(&output.status.code()) && output.stdout.is_empty() {
        return skip("it needs the right to mount");
    }
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let shown = " 2 msg posix 1 msg sysv 2 sem posix \n2\nyes was not given\n 1 msg sysv 2 sem posix \n 2 sem posix \nremoving POSIX semaphore /a\nremoving POSIX semaphore /b\n\n";
    assert_eq!(text, shown, "{}", String::from_utf8_lossy(&output.stderr));
}
