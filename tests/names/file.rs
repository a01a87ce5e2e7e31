//! The file of names: what it holds, who trusts it, and that no call fails because of it.

use std::fs;

use super::{apart, path};
use crate::support::{World, lines, skip};

/// Returns the lines of this world's names, sorted.
fn recorded(world: &World) -> Vec<String> {
    let text = fs::read(path()).unwrap();
    let name = format!(" {}", world.name(""));
    let mut found: Vec<String> = lines(&text).into_iter().filter(|line| line.contains(&name)).collect();
    found.sort();
    found
}

#[test]
fn storm_of_creators_tears_no_line() {
    let world = World::new();
    let targets: Vec<String> = (0..200).map(|n| format!("@s{n}")).collect();
    let creators: Vec<_> = targets.iter().map(|target| world.call(&format!("sem create {target}")).start()).collect();
    for creator in creators {
        assert_eq!(creator.code(), 0);
    }
    let key = |target: &String| {
        let name = world.name(&target[1..]);
        format!("{} {name}", &world.call("key").arg(&name).ok().trim()[2..])
    };
    let mut expected: Vec<String> = targets.iter().map(key).collect();
    expected.sort();
    assert_eq!(recorded(&world), expected);
    let shown = world.call("sem stat --columns name --no-header").ok();
    let shown: Vec<&str> = shown.lines().map(str::trim).collect();
    assert!(targets.iter().all(|target| shown.contains(&world.name(&target[1..]).as_str())), "{shown:?}");
}

#[test]
fn name_is_recorded_once_before_creation() {
    let world = World::new();
    for (line, name) in [
        ("sem create @a", "a"),
        ("sem run @b --slots 1 -- true", "b"),
        ("sem lock @c -- true", "c"),
        ("sem barrier @d 1", "d"),
        ("sem hold @e PID --slots 2 -q", "e"),
        ("msgq create @f", "f"),
        ("msgq send @g x --create", "g"),
        ("msgq recv @h -n -E 0 --create", "h"),
        ("shm create @i --size 1", "i"),
        ("shm add @j --create", "j"),
        ("shm write @k text --create", "k"),
        ("shm write @l text --create --lock @m", "m"),
    ] {
        let line = line.replace("PID", &std::process::id().to_string());
        for _ in 0..2 {
            world.call(&line).ok();
        }
        let end = format!(" {}", world.name(name));
        let count = recorded(&world).iter().filter(|line| line.ends_with(&end)).count();
        assert_eq!(count, 1, "{line}");
    }
    world.call("sem rm @e --force").ok();
    let before = recorded(&world);
    // Ids, keys, POSIX objects and private objects have no name to record, and using an object records nothing.
    let private = world.call("sem create private").ok();
    world.call(&format!("sem rm {private}")).ok();
    world.call("sem create /@n").ok();
    world.call("shm create 0x7ffffff1 --size 1 -x").ok();
    world.call("shm rm 0x7ffffff1").ok();
    world.call("msgq send @missing x").fails(3, "no such message queue");
    assert_eq!(recorded(&world), before);
}

/// A call that uses an existing object, or shows none by its name, does not open the file.
#[test]
fn other_calls_do_not_open_it() {
    let world = World::new();
    world.call("sem create @s --slots 1").ok();
    world.call("msgq create @q").ok();
    world.call("shm create @m --size 1").ok();
    let name = |name| world.name(name);
    for (words, opens) in [
        (vec!["sem".into(), "run".into(), name("s"), "--slots".into(), "1".into(), "--".into(), "true".into()], false),
        (vec!["msgq".into(), "send".into(), name("q"), "x".into(), "--create".into()], false),
        (vec!["msgq".into(), "stat".into(), name("q")], false),
        (vec!["shm".into(), "stat".into(), "--columns".into(), "id,size".into()], false),
        (vec!["sem".into(), "stat".into(), "--columns".into(), "used".into()], false),
        (vec!["ipcs-lite".into()], false),
        (vec!["shm".into(), "stat".into()], true),
        (vec!["msgq".into(), "create".into(), name("new")], true),
    ] {
        let Some(call) = world.traced("openat") else { return };
        call.args(&words).ok();
        let trace = fs::read_to_string(world.dir().join("trace")).unwrap();
        assert_eq!(trace.contains(".ipcbox-names."), opens, "{words:?}: {trace}");
    }
}

#[test]
fn mode_is_private_whatever_the_umask() {
    let world = World::new();
    for umask in ["0", "022", "777"] {
        let script = format!(
            "(umask {umask}; ipcbox sem create a -q); stat -c %a $FILE
             ipcbox sem stat --columns name --no-header"
        );
        let Some(text) = apart(&world, "mode=1777", &script) else { return };
        assert_eq!(text, "600\na\n", "{umask}");
    }
}

/// Each is left as it is, and the name is unknown.
#[test]
fn hostile_file_is_ignored() {
    let world = World::new();
    for (prepare, look) in [
        ("echo precious >victim; ln -s $PWD/victim $FILE", "cat victim"),
        ("ln -s $PWD/missing $FILE", "echo missing*"),
        ("echo precious >/dev/shm/victim; ln /dev/shm/victim $FILE", "cat /dev/shm/victim"),
        ("mkfifo -m 666 $FILE", "stat -c %F $FILE"),
        ("mkdir $FILE", "stat -c %F $FILE"),
        ("truncate -s 1G $FILE", "stat -c %s $FILE"),
        ("head -c 1048577 /dev/zero >$FILE", "stat -c %s $FILE"),
    ] {
        let script = format!(
            "{prepare}; before=$({look})
             timeout 60 ipcbox sem create a --value 5; timeout 60 ipcbox sem get a
             timeout 60 ipcbox sem stat --columns name,value --no-header
             [ \"$({look})\" = \"$before\" ]"
        );
        let Some(text) = apart(&world, "mode=1777", &script) else { return };
        assert_eq!(text, "0\n5\n-  5\n", "{prepare}");
    }
}

/// Another user was first, or can write there.
#[test]
fn file_of_another_user_is_ignored() {
    let world = World::new();
    if world.stranger().is_none() {
        return;
    }
    let script = "
        as() { setpriv --reuid=54321 --regid=54321 --clear-groups \"$@\"; }
        # It has a name of the right key, and everyone may write.
        printf '%s a\\n' $(ipcbox key a | cut -c3-) >$FILE; chmod 666 $FILE; chown 54321 $FILE
        before=$(cat $FILE)
        ipcbox sem create a --value 5 -q; ipcbox sem stat --columns name --no-header
        [ \"$(cat $FILE)\" = \"$before\" ]
        # The same for the other user, and a file that this user can neither open nor remove.
        touch /dev/shm/.ipcbox-names.54321
        as ipcbox sem create b -q; as ipcbox sem stat b --columns name --no-header
        as ipcbox sem stat --columns name --no-header";
    let Some(text) = apart(&world, "mode=1777", script) else { return };
    assert_eq!(text, "-\nb\n-\n-\n");
}

/// Its lines are of one key: names of other keys, and spellings of one path.
#[test]
fn crowded_file_delays_and_fills_no_list() {
    let world = World::new();
    if world.stranger().is_none() {
        return;
    }
    let script = "
        as() { setpriv --reuid=54321 --regid=54321 --clear-groups \"$@\"; }
        as ipcbox sem create a -q; as ipcbox msgq create ftok:/dev/shm -q; ipcbox sem create b -q
        key() { ipcbox key $1 | cut -c3-; }
        { seq -f \"$(key a) n%.0f\" 0 49999; echo \"$(key a) a\"
          for a in / /./ // /.//; do for b in / /./ // /.//; do echo \"$(key ftok:/dev/shm) ftok:${a}dev${b}shm\"; done; done
        } >/dev/shm/.ipcbox-names.54321
        timeout 30 ipcbox sem stat --columns name --no-header
        ipcbox msgq stat --columns name --no-header | tr , '\\n' | wc -l";
    let Some(text) = apart(&world, "mode=1777", script) else { return };
    assert_eq!(text, "a\nb\n8\n");
}

#[test]
fn junk_hides_no_name() {
    let world = World::new();
    for junk in [
        "head -c 100000 /dev/urandom",
        "head -c 100000 /dev/zero",
        "yes ''",
        "yes '0badc0de name'",
        "yes",
        // Without a newline at the end, and a line that was torn.
        "printf 'c39bf2a3 buil'",
        "printf 'c39bf2a3 '",
        "printf 'c39bf2a3'",
    ] {
        let script = format!(
            "ipcbox sem create first -q; {junk} | head -c 65000 >>$FILE
             ipcbox sem create a -q; ipcbox sem create b -q; ipcbox sem stat --columns name --no-header"
        );
        let Some(text) = apart(&world, "mode=1777", &script) else { return };
        assert_eq!(text, "first\na\nb\n", "{junk}");
    }
}

#[test]
fn missing_dev_shm_costs_no_call() {
    let world = World::new();
    let script = "
        mount -t tmpfs none /dev
        ipcbox sem run s --slots 1 -- echo ran; ipcbox msgq send q x --create; ipcbox shm add m --create
        ipcbox sem create s --slots 1; ipcbox sem stat --columns name,used --no-header; ipcbox sem stat s --no-header";
    let Some(text) = apart(&world, "mode=1777", script) else { return };
    assert_eq!(text, "ran\n1\n0\n-  0/1\ns  slots  0/1    0\n");
}

#[test]
fn full_dev_shm_costs_no_call() {
    let world = World::new();
    // The first page of the file has room for half a line.
    let script = "
        ipcbox sem create first -q
        head -c $((4090 - $(stat -c %s $FILE))) /dev/zero | tr '\\0' '\\n' >>$FILE
        cat /dev/zero >/dev/shm/full 2>/dev/null || :
        ipcbox sem create torn; ipcbox sem run s --slots 1 -- echo ran
        rm /dev/shm/full
        stat -c %s $FILE; ipcbox sem create next; ipcbox sem stat --columns name --no-header";
    let Some(text) = apart(&world, "mode=1777,size=64k", script) else { return };
    assert_eq!(text, "1\nran\n4096\n3\nfirst\n-\n-\nnext\n");
    let script = "
        cat /dev/zero >/dev/shm/full 2>/dev/null || :
        ipcbox sem run s --slots 1 -- echo ran; rm /dev/shm/full
        ipcbox sem create s --slots 1; ipcbox sem stat --columns name --no-header";
    let Some(text) = apart(&world, "mode=1777,size=64k", script) else { return };
    assert_eq!(text, "ran\n0\ns\n");
}

/// SIGXFSZ must not kill a verb that writes no other file.
#[test]
fn file_size_limit_costs_no_call() {
    let world = World::new();
    let script = "ulimit -f 0
        ipcbox sem run $NAME-s --slots 1 -- echo ran; ipcbox msgq send $NAME-q x --create; ipcbox sem lock $NAME-l -- echo ran";
    world.shell(script).stdout("ran\nran\n").ok();
}

/// Appends many names without objects.
const FILL: &str = "
    fill() {
        seq -f \"$1%g\" $2 >fill; ipcbox key $(cat fill) | cut -c3- | paste -d ' ' - fill >>$FILE
    }";

#[test]
fn long_file_is_compacted() {
    let world = World::new();
    let script = format!(
        "{FILL}
        ipcbox sem create old -q; ipcbox shm create ftok:/etc/passwd --size 1 -q; fill stale 4000
        printf 'c39bf2a3 torn' >>$FILE
        touch $FILE~
        ipcbox msgq create new -q
        [ $(stat -c %s $FILE) -lt 65536 ]; stat -c %a $FILE; ls -A /dev/shm
        grep -c '^[0-9a-f]\\{{8\\}} [a-z:/0-9]*$' $FILE; grep -cv '^[0-9a-f]\\{{8\\}} [a-z:/0-9]*$' $FILE
        grep -c ' stale1$' $FILE || :; grep -c ' stale4000$' $FILE
        ipcbox ipcs-lite --columns name --no-header
        # It is short enough now.
        ino=$(stat -c %i $FILE); ipcbox sem create newer -q; [ $(stat -c %i $FILE) = $ino ]"
    );
    let Some(text) = apart(&world, "mode=1777", &script) else { return };
    let found: Vec<&str> = text.lines().collect();
    assert_eq!(found[..2], ["600", ".ipcbox-names.0"], "{text}");
    assert!(found[2].parse::<usize>().unwrap() > 1000, "{text}");
    assert_eq!(found[3..], ["1", "0", "1", "new", "ftok:/etc/passwd", "old"], "{text}");
}

/// A directory stands for the file of another user, which the caller cannot remove either.
#[test]
fn taken_name_does_not_stop_compaction() {
    let world = World::new();
    let script = format!(
        "{FILL}
        fill stale 4000; mkdir $FILE~; ipcbox sem create new -q
        [ $(stat -c %s $FILE) -lt 65536 ]; ls -A /dev/shm; ipcbox sem stat --columns name --no-header"
    );
    let Some(text) = apart(&world, "mode=1777", &script) else { return };
    assert_eq!(text, ".ipcbox-names.0\n.ipcbox-names.0~\nnew\n");
}

/// Every name is there, although the file is replaced at the same time.
#[test]
fn compaction_loses_no_other_name() {
    let world = World::new();
    let script = format!(
        "{FILL}
        fill stale 3400; ino=$(stat -c %i $FILE)
        for n in $(seq 100); do ipcbox sem create n$n -q & ipcbox shm add m$n --create >/dev/null & done; wait
        [ $(stat -c %i $FILE) != $ino ]; ls -A /dev/shm
        ipcbox sem stat --columns name --no-header | grep -c ^n
        ipcbox shm stat --columns name --no-header | grep -c ^m"
    );
    let Some(text) = apart(&world, "mode=1777", &script) else { return };
    assert_eq!(text, ".ipcbox-names.0\n100\n100\n");
}

#[test]
fn file_near_the_limit_is_compacted() {
    let world = World::new();
    // Its first line claims that it cannot be any shorter.
    let script = "
        { echo '# compacted: 1000000'; yes 'ipcbox' | head -c 1048000; } >$FILE
        ipcbox sem create a -q; ipcbox sem stat --columns name --no-header; stat -c %s $FILE";
    let Some(text) = apart(&world, "mode=1777", script) else { return };
    let found: Vec<&str> = text.lines().collect();
    assert_eq!(found[0], "a");
    assert!(found[1].parse::<usize>().unwrap() < 100, "{text}");
}

#[test]
fn file_is_hidden_from_every_list() {
    let world = World::new();
    let script = "
        ipcbox ipcs-lite --leaks --no-header --columns verdict,name -- ipcbox sem create a -q || echo $?
        touch $FILE~; ls -A /dev/shm
        ipcbox ipcs-lite --posix -m -J; ipcbox shm stat -J; ipcbox shm stat --holders
        ipcbox ipcrm-lite --posix --shm --mine --force --yes; ipcbox ipcrm-lite -a pshm --yes
        ipcbox ipcrm -a pshm
        ls -A /dev/shm
        # Only the file itself is: not one of another user, and not a longer one.
        touch /dev/shm/.ipcbox-names.a /dev/shm/.ipcbox-names.4242; truncate -s 1048577 $FILE~
        ipcbox shm stat --columns name --no-header";
    let Some(text) = apart(&world, "mode=1777", script) else { return };
    let files = ".ipcbox-names.0\n.ipcbox-names.0~\n";
    let shown = "/.ipcbox-names.0~\n/.ipcbox-names.4242\n/.ipcbox-names.a\n";
    assert_eq!(text, format!("leaked  a\n1\n{files}{files}{shown}"));
}

/// Root of a user namespace is not root of the machine, and leaves the file to that.
#[test]
fn mapped_root_takes_no_file_of_root() {
    let world = World::new();
    let Some(user) = world.stranger() else { return };
    let script = "
        inside() {
            setpriv --reuid=UID --regid=UID --clear-groups unshare --user --map-root-user --ipc sh -euc \"$1\"
        }
        inside : 2>/dev/null || { echo skip; exit; }
        inside 'ipcbox sem create a; ipcbox sem stat --columns name --no-header'
        ls -A /dev/shm; ipcbox sem create b -q; ls -A /dev/shm";
    let Some(text) = apart(&world, "mode=1777", &script.replace("UID", &user.to_string())) else { return };
    if text == "skip\n" {
        return skip("an ordinary user may create no user namespace here");
    }
    assert_eq!(text, "0\n-\n.ipcbox-names.0\n");
}
