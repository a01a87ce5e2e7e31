//! Wrong calls, as users of flock, timeout, GNU sem, pv, kill, ipcs and Redis try them. Each row has the call, its exit
//! status, the message and the hint. A hint that is a command line is run as printed.

use crate::support::{World, lines, skip};

/// A line for a shell, its exit status, its message, its hint (or nothing), and the exit status of the hint.
type Row = (&'static str, i32, &'static str, &'static str, i32);

/// The status of a hint that runs until a signal comes.
const FOREVER: i32 = -1;

/// What the hints find: a plain semaphore, a lock, two slots, a set, a queue with messages, a counter, a FIFO.
const SETUP: &str = "
    ipcbox sem create $NAME-plain --value 3 -q
    ipcbox sem create $NAME-set --nsems 2 --value 2 -q
    ipcbox sem lock $NAME-lk -- true
    ipcbox sem create $NAME-sl --slots 2 -q
    ipcbox msgq create $NAME-q -q
    ipcbox msgq send $NAME-q one
    ipcbox msgq send $NAME-q two
    ipcbox shm create $NAME-m --size 64 -q
    ipcbox fifo create f -q
    echo x >data.txt
";

/// Runs the rows in one world. `$PID` in them is a process that sleeps, a new one in each row.
fn check(rows: &[Row]) {
    let world = World::new();
    world.shell(SETUP).ok();
    let name = world.name("");
    let mut wrong = Vec::new();
    for (call, status, message, hint, works) in rows {
        let sleeper = world.program("sleep").arg("1000").start();
        let pid = sleeper.pid().to_string();
        let text = |text: &str| text.replace("$NAME-", &name).replace("$PID", &pid);
        let shell = |line: &str| world.shell(&format!("{} 2>err", line.replace("$PID", &pid)));
        let output = shell(call).output();
        let printed = lines(&std::fs::read(world.dir().join("err")).unwrap());
        let mut expected = Vec::new();
        expected.extend((!message.is_empty()).then(|| text(message)));
        expected.extend((!hint.is_empty()).then(|| format!("hint: {}", text(hint))));
        if (output.status.code(), &printed) != (Some(*status), &expected) {
            wrong.push(format!(
                "{call}\n  {:?}: {printed:#?}\n  expected {status}: {expected:#?}",
                output.status.code()
            ));
            continue;
        }
        let has_pgrep = || world.shell("command -v pgrep").output().status.success();
        if hint.starts_with("ipcbox ") || hint.starts_with("pgrep ") && has_pgrep() {
            let printed = printed[1].trim_start_matches("hint: ");
            let limit = if *works == FOREVER { "timeout 0.5" } else { "exec" };
            let ran = world.shell(&format!("{limit} sh -c '{}'", printed.replace('\'', r"'\''"))).output();
            let works = if *works == FOREVER { 124 } else { *works };
            if ran.status.code() != Some(works) {
                let printed = String::from_utf8_lossy(&ran.stderr).into_owned();
                wrong.push(format!("{call}\n  its hint fails: {:?}: {printed}", ran.status));
            }
        }
    }
    assert!(wrong.is_empty(), "{} rows of {}:\n{}", wrong.len(), rows.len(), wrong.join("\n"));
}

#[test]
fn verb_of_another_tool_is_translated() {
    check(&[
        ("ipcbox sem ls", 2, "sem: no verb 'ls'; did you mean 'stat'?", "ipcbox sem stat", 0),
        ("ipcbox sem show $NAME-sl", 2, "sem: no verb 'show'; did you mean 'stat'?", "ipcbox sem stat $NAME-sl", 0),
        ("ipcbox sem delete $NAME-lk", 2, "sem: no verb 'delete'; did you mean 'rm'?", "ipcbox sem rm $NAME-lk", 0),
        ("ipcbox sem chmod", 2, "sem: no verb 'chmod'; did you mean 'set'?", "ipcbox sem set --help", 0),
        ("ipcbox sem up $NAME-plain", 2, "sem: no verb 'up'; did you mean 'post'?", "ipcbox sem post $NAME-plain", 0),
        (
            "ipcbox sem down $NAME-plain",
            2,
            "sem: no verb 'down'; did you mean 'wait'?",
            "ipcbox sem wait $NAME-plain",
            0,
        ),
        (
            "ipcbox sem take $NAME-sl -- true",
            2,
            "sem: no verb 'take'; did you mean 'run'?",
            "ipcbox sem run $NAME-sl -- true",
            0,
        ),
        ("ipcbox sem exec $NAME-sl", 2, "sem: no verb 'exec'; did you mean 'run'?", "ipcbox sem run --help", 0),
        (
            "ipcbox sem acquire $NAME-sl",
            2,
            "sem: no verb 'acquire': 'sem run' holds a slot while CMD runs, and 'sem hold' until a process exits",
            "ipcbox sem hold $NAME-sl $$",
            0,
        ),
        (
            "ipcbox sem acquire",
            2,
            "sem: no verb 'acquire': 'sem run' holds a slot while CMD runs, and 'sem hold' until a process exits",
            "ipcbox sem hold --help",
            0,
        ),
        (
            "ipcbox sem unlock",
            2,
            "sem: no verb 'unlock': a slot or lock is released when CMD exits, or by 'sem hold --release'",
            "ipcbox sem hold --help",
            0,
        ),
        // No process holds it for the shell of this test: 3.
        (
            "ipcbox sem release $NAME-sl",
            2,
            "sem: no verb 'release': a slot or lock is released when CMD exits, or by 'sem hold --release'",
            "ipcbox sem hold $NAME-sl $$ --release",
            3,
        ),
        (
            "ipcbox msgq push $NAME-q x",
            2,
            "msgq: no verb 'push'; did you mean 'send'?",
            "ipcbox msgq send $NAME-q x",
            0,
        ),
        ("ipcbox msgq pop $NAME-q", 2, "msgq: no verb 'pop'; did you mean 'recv'?", "ipcbox msgq recv $NAME-q", 0),
        ("ipcbox msgq get $NAME-q", 2, "msgq: no verb 'get'; did you mean 'recv'?", "ipcbox msgq recv $NAME-q", 0),
        (
            "ipcbox msgq receive $NAME-q",
            2,
            "msgq: no verb 'receive'; did you mean 'recv'?",
            "ipcbox msgq recv $NAME-q",
            0,
        ),
        ("ipcbox shm incr $NAME-m", 2, "shm: no verb 'incr'; did you mean 'add'?", "ipcbox shm add $NAME-m", 0),
        ("ipcbox shm inc $NAME-m", 2, "shm: no verb 'inc'; did you mean 'add'?", "ipcbox shm add $NAME-m", 0),
        ("ipcbox fifo cat f -n", 2, "fifo: no verb 'cat'; did you mean 'read'?", "ipcbox fifo read f -n", 124),
        ("ipcbox pipe pv data.txt", 2, "pipe: no verb 'pv'; did you mean 'meter'?", "ipcbox pipe meter data.txt", 0),
        ("ipcbox pipe progress", 2, "pipe: no verb 'progress'; did you mean 'meter'?", "ipcbox pipe meter", 0),
        (
            "ipcbox signal kill -9 $PID",
            2,
            "signal: no verb 'kill'; did you mean 'send'?",
            "ipcbox signal send 9 $PID",
            0,
        ),
        (
            "ipcbox signal timeout 5 true",
            2,
            "signal: no verb 'timeout'; did you mean 'run'?",
            "ipcbox signal run --max-time 5 -- true",
            0,
        ),
        (
            "ipcbox signal waitpid $PID -n",
            2,
            "signal: no verb 'waitpid'; did you mean 'join'?",
            "ipcbox signal join $PID -n",
            124,
        ),
        ("ipcbox signal ls", 2, "signal: no verb 'ls'; did you mean 'list'?", "ipcbox signal list", 0),
        ("sem rnu", 2, "sem: no verb 'rnu'; did you mean 'run'?", "", 0),
        ("sem xyzzy", 2, "sem: no verb 'xyzzy'", "sem --help", 0),
    ]);
}

#[test]
fn applet_of_another_name_is_translated() {
    check(&[
        ("ipcbox lock", 2, "ipcbox: no applet 'lock'; did you mean 'sem lock'?", "ipcbox sem lock --help", 0),
        (
            "ipcbox run $NAME-sl -- true",
            2,
            "ipcbox: no applet 'run'; did you mean 'sem run'?",
            "ipcbox sem run $NAME-sl -- true",
            0,
        ),
        (
            "ipcbox flock $NAME-lk -c 'echo hi'",
            2,
            "ipcbox: no applet 'flock'; did you mean 'sem lock'?",
            "ipcbox sem lock $NAME-lk -- sh -c 'echo hi'",
            0,
        ),
        (
            "ipcbox kill -TERM $PID",
            2,
            "ipcbox: no applet 'kill'; did you mean 'signal send'?",
            "ipcbox signal send TERM $PID",
            0,
        ),
        (
            "ipcbox timeout -k 5 10 true",
            2,
            "ipcbox: no applet 'timeout'; did you mean 'signal run'?",
            "ipcbox signal run --then TERM:5 --then KILL --max-time 10 -- true",
            0,
        ),
        ("ipcbox queue x", 2, "ipcbox: no applet 'queue'; did you mean 'msgq'?", "ipcbox msgq --help", 0),
        ("ipcbox ps", 2, "ipcbox: no applet 'ps'; did you mean 'ipcs-lite'?", "ipcbox ipcs-lite --help", 0),
        ("ipcbox semaphore", 2, "ipcbox: no applet 'semaphore'; did you mean 'sem'?", "ipcbox sem --help", 0),
        ("ipcbox smeaphore", 2, "ipcbox: no applet 'smeaphore'; did you mean 'sem'?", "ipcbox sem --help", 0),
        ("ipcbox sme", 2, "ipcbox: no applet 'sme'; did you mean 'sem'?", "", 0),
        (
            "ipcbox barrier",
            2,
            "ipcbox: no applet 'barrier'; did you mean 'sem barrier'?",
            "ipcbox sem barrier --help",
            0,
        ),
        (
            "ipcbox create x",
            2,
            "ipcbox: no applet 'create': it is a verb of fifo, msgq, sem and shm",
            "ipcbox --help",
            0,
        ),
        ("ipcbox xyzzy", 2, "ipcbox: no applet 'xyzzy'", "ipcbox --help", 0),
        ("ipcbox help run", 2, "ipcbox: no applet 'run'; did you mean 'sem run'?", "ipcbox sem run --help", 0),
        ("ipcbox --list x", 2, "ipcbox: unexpected argument 'x'", "", 0),
    ]);
}

#[test]
fn option_of_another_tool_is_translated() {
    check(&[
        (
            "ipcbox sem run $NAME-sl -j 2 -- true",
            125,
            "sem: no option '-j'; did you mean '--slots 2'?",
            "ipcbox sem run $NAME-sl --slots 2 -- true",
            0,
        ),
        (
            "ipcbox sem run $NAME-sl -j 2",
            125,
            "sem: no option '-j'; did you mean '--slots 2'?",
            "ipcbox sem run --help",
            0,
        ),
        (
            "ipcbox sem run $NAME-sl --jobs=2 -- true",
            125,
            "sem: no option '--jobs'; did you mean '--slots 2'?",
            "ipcbox sem run $NAME-sl --slots 2 -- true",
            0,
        ),
        (
            "ipcbox sem lock $NAME-lk --wait 5 -- true",
            125,
            "sem: no option '--wait'; did you mean '--timeout 5'?",
            "ipcbox sem lock $NAME-lk --timeout 5 -- true",
            0,
        ),
        (
            "ipcbox sem lock $NAME-lk --conflict-exit-code 9 -- true",
            125,
            "sem: no option '--conflict-exit-code'; did you mean '--timeout-status 9'?",
            "ipcbox sem lock $NAME-lk --timeout-status 9 -- true",
            0,
        ),
        (
            "ipcbox sem lock $NAME-lk -x -- true",
            125,
            "sem: no option '-x': locks are exclusive by default",
            "ipcbox sem lock $NAME-lk -- true",
            0,
        ),
        (
            "ipcbox sem lock $NAME-lk -c 'echo hi'",
            125,
            "sem: the command goes after '--'",
            "ipcbox sem lock $NAME-lk -- sh -c 'echo hi'",
            0,
        ),
        (
            "ipcbox sem lock $NAME-lk 'echo hi'",
            125,
            "sem: the command goes after '--'",
            "ipcbox sem lock $NAME-lk -- sh -c 'echo hi'",
            0,
        ),
        (
            "ipcbox signal run --timeout 1 -- true",
            125,
            "signal: no option '--timeout'; did you mean '--max-time 1'?",
            "ipcbox signal run --max-time 1 -- true",
            0,
        ),
        (
            "ipcbox signal run -k 5 10 true",
            125,
            "signal: no option '-k'; did you mean '--then TERM:5 --then KILL'?",
            "ipcbox signal run --then TERM:5 --then KILL --max-time 10 -- true",
            0,
        ),
        (
            "ipcbox signal run 0.1 sleep 100",
            125,
            "signal: unexpected argument '0.1' (did you mean --max-time 0.1?)",
            "ipcbox signal run --max-time 0.1 -- sleep 100",
            124,
        ),
        (
            "ipcbox pipe meter -s 1G -L 1M",
            2,
            "pipe: no option '-s'; did you mean '--size 1G'?",
            "ipcbox pipe meter --size 1G --rate-limit 1M",
            0,
        ),
        (
            "ipcbox signal send -KILL $PID",
            2,
            "signal: a signal is written without '-': KILL",
            "ipcbox signal send KILL $PID",
            0,
        ),
        ("ipcbox sem get $NAME-set --al", 2, "sem: no option '--al'; did you mean '--all'?", "", 0),
        ("ipcbox sem get $NAME-set --xyzzy", 2, "sem: no option '--xyzzy'", "ipcbox sem get --help", 0),
    ]);
}

#[test]
fn options_before_the_verb_are_moved() {
    check(&[
        ("ipcbox --json sem stat", 2, "ipcbox: options go after the verb", "ipcbox sem stat --json", 0),
        ("ipcbox --json ipcs-lite", 2, "ipcbox: options go after the verb", "ipcbox ipcs-lite --json", 0),
        (
            "ipcbox sem -w 5 lock $NAME-lk -- true",
            2,
            "sem: options go after the verb",
            "ipcbox sem lock -w 5 $NAME-lk -- true",
            0,
        ),
        ("sem -w 5 lock $NAME-lk", 2, "sem: options go after the verb", "", 0),
        ("ipcbox --xyzzy", 2, "ipcbox: no option '--xyzzy'", "ipcbox --help", 0),
    ]);
}

#[test]
fn swapped_and_bare_operands_are_recognised() {
    check(&[
        (
            "ipcbox sem barrier 1 $NAME-b",
            2,
            "sem: N: expected a number from 1 to 32767, not '$NAME-b' (swapped?)",
            "ipcbox sem barrier $NAME-b 1",
            0,
        ),
        (
            "ipcbox sem hold $PID $NAME-sl",
            2,
            "sem: PID: expected a process id, not '$NAME-sl' (swapped?)",
            "ipcbox sem hold $NAME-sl $PID",
            0,
        ),
        (
            "ipcbox signal send $PID TERM",
            2,
            "signal: SIG: expected a signal from 1 to 64, not '$PID' (swapped?)",
            "ipcbox signal send TERM $PID",
            0,
        ),
        (
            "ipcbox shm create $NAME-n 4096",
            2,
            "shm: unexpected argument '4096' (did you mean --size 4096?)",
            "ipcbox shm create $NAME-n --size 4096",
            0,
        ),
        (
            "ipcbox sem run $NAME-sl 2 -- true",
            125,
            "sem: unexpected argument '2' (did you mean --slots 2?)",
            "ipcbox sem run $NAME-sl --slots 2 -- true",
            0,
        ),
        (
            "ipcbox sem op $NAME-plain -1",
            2,
            "sem: an operation is INDEX:DELTA, for example 0:-1",
            "ipcbox sem op $NAME-plain 0:-1",
            0,
        ),
        ("ipcbox sem get $NAME-set 1", 2, "sem: unexpected argument '1'", "ipcbox sem get --help", 0),
        (
            "ipcbox ipcs-lite --watch 1",
            2,
            "ipcs-lite: the interval of --watch goes after '='",
            "ipcbox ipcs-lite --watch=1",
            FOREVER,
        ),
    ]);
}

#[test]
fn value_out_of_range_names_the_range() {
    check(&[
        (
            "ipcbox sem run $NAME-sl --slots two -- true",
            125,
            "sem: --slots: expected a number from 1 to 32767, not 'two'",
            "",
            0,
        ),
        (
            "ipcbox shm create $NAME-n --size 10Gb",
            2,
            "shm: --size: expected a size such as 4096, 64K, 2M, 1G, or 64KB (64,000), not '10Gb'",
            "",
            0,
        ),
        (
            "ipcbox sem run $NAME-sl -E 300 -- true",
            125,
            "sem: --timeout-status: expected an exit status from 0 to 255, not '300'",
            "",
            0,
        ),
        (
            "ipcbox sem lock $NAME-lk -w 5x -- true",
            125,
            "sem: --timeout: expected a duration such as 5, 0.25, 250ms, 1m30s, 2h or 1d, not '5x'",
            "",
            0,
        ),
        ("ipcbox sem stat --color blue", 2, "sem: --color: expected auto, always or never, not 'blue'", "", 0),
        ("ipcbox sem get $NAME-set --index", 2, "sem: --index needs a value", "", 0),
        ("ipcbox sem get $NAME-set --all -i 1", 2, "sem: --all and --index cannot be used together", "", 0),
        (
            "ipcbox signal send TERM nosuchprogram",
            2,
            "signal: PID: expected a process id, not 'nosuchprogram'",
            "pgrep nosuchprogram",
            1,
        ),
        ("ipcbox signal send TERM sleep", 2, "signal: PID: expected a process id, not 'sleep'", "pgrep sleep", 0),
    ]);
}

#[test]
fn option_that_another_needs_is_added() {
    check(&[
        (
            "ipcbox ipcs-lite --clean -- true",
            2,
            "ipcs-lite: --leaks is missing",
            "ipcbox ipcs-lite --leaks --clean -- true",
            0,
        ),
        ("ipcbox ipcs-lite --clean", 2, "ipcs-lite: --clean needs --leaks", "add --leaks", 0),
        (
            "ipcbox ipcs-lite --leaks true",
            2,
            "ipcs-lite: the command goes after '--'",
            "ipcbox ipcs-lite --leaks -- true",
            0,
        ),
        ("ipcbox signal run --then KILL -- true", 125, "signal: --then needs --max-time", "add --max-time DURATION", 0),
        ("ipcbox fifo read log --rm -n", 2, "fifo: --rm needs --create", "ipcbox fifo read --create log --rm -n", 124),
    ]);
}

#[test]
fn refused_name_is_shown_once() {
    check(&[
        ("ipcbox signal send FOO 1", 2, "signal: SIG: no such signal: 'FOO' (list them: ipcbox signal list)", "", 0),
        ("ipcbox sem set $NAME-sl --owner nosuchuser", 2, "sem: --owner: no user 'nosuchuser'", "", 0),
        ("ipcbox sem set $NAME-sl --owner nosuchuser:0", 2, "sem: --owner 'nosuchuser:0': no user 'nosuchuser'", "", 0),
    ]);
}

#[test]
fn missing_operand_prints_the_usage() {
    check(&[
        ("ipcbox sem run", 125, "sem: TARGET is missing", "write ipcbox sem run [OPTION]... TARGET -- CMD [ARG]...", 0),
        ("sem run $NAME-sl", 125, "sem: CMD is missing", "write sem run [OPTION]... TARGET -- CMD [ARG]...", 0),
        ("ipcbox sem get", 2, "sem: TARGET is missing", "write ipcbox sem get [OPTION]... TARGET", 0),
        (
            "ipcbox shm wait $NAME-no",
            2,
            "shm: VALUE or --changed is missing",
            "write ipcbox shm wait [OPTION]... TARGET [VALUE]",
            0,
        ),
        ("ipcbox sem rm", 2, "sem: TARGET or --unused is missing", "write ipcbox sem rm [OPTION]... [TARGET]...", 0),
        ("ipcbox sem get ''", 2, "sem: TARGET is empty (an unset variable?)", "", 0),
        ("ipcbox sem hold $NAME-sl ''", 2, "sem: PID is empty (an unset variable?)", "", 0),
        (
            "ipcbox sem hold $NAME-sl '$$'",
            2,
            "sem: PID: the shell did not expand '$$': use double quotes or no quotes",
            "ipcbox sem hold $NAME-sl $$",
            0,
        ),
        (
            "ipcbox sem get '$NAME'",
            2,
            "sem: TARGET: the shell did not expand '$NAME': use double quotes or no quotes",
            "ipcbox sem get \"$NAME\"",
            3,
        ),
    ]);
}

#[test]
fn target_that_is_no_name_gets_one() {
    check(&[
        (
            "ipcbox sem get /tmp/$NAME-set",
            2,
            "sem: TARGET '/tmp/$NAME-set': a file can hold only slots or a lock: give a name",
            "ipcbox sem get $NAME-set",
            0,
        ),
        (
            "ipcbox sem get ./$NAME-set",
            2,
            "sem: TARGET './$NAME-set': a file can hold only slots or a lock: give a name",
            "ipcbox sem get $NAME-set",
            0,
        ),
        (
            "ipcbox sem run 2147483646 --slots 2 -- true",
            125,
            "sem: cannot take 2147483646: no such semaphore set (EINVAL)",
            "use a name instead of an id: ci-2147483646",
            0,
        ),
        (
            "ipcbox shm get 2147483646",
            3,
            "shm: cannot read 2147483646: no such shared memory segment (EINVAL)",
            "use a name instead of an id: ci-2147483646",
            0,
        ),
    ]);
}

#[test]
fn unsuitable_object_is_named_with_the_next_step() {
    check(&[
        (
            "ipcbox sem run $NAME-lk -- true",
            125,
            "sem: cannot take $NAME-lk: $NAME-lk is a lock, not slots",
            "use ipcbox sem lock $NAME-lk",
            0,
        ),
        (
            "ipcbox sem lock $NAME-sl -- true",
            125,
            "sem: cannot lock $NAME-sl: $NAME-sl has 2 slots, not a lock",
            "use ipcbox sem run $NAME-sl",
            0,
        ),
        (
            "ipcbox sem wait $NAME-no",
            3,
            "sem: cannot wait for $NAME-no: no such semaphore set (ENOENT)",
            "create the semaphore set first: ipcbox sem create $NAME-no",
            0,
        ),
        (
            "ipcbox shm add $NAME-no",
            3,
            "shm: cannot add to $NAME-no: no such shared memory segment (ENOENT)",
            "add --create to create the object",
            0,
        ),
        (
            "ipcbox shm set $NAME-no 5",
            3,
            "shm: cannot set $NAME-no: no such shared memory segment (ENOENT)",
            "add --create to create the object",
            0,
        ),
        (
            "ipcbox shm write $NAME-no x",
            3,
            "shm: cannot write to $NAME-no: no such shared memory segment (ENOENT)",
            "add --create to create an object as large as the data",
            0,
        ),
        (
            "ipcbox msgq serve $NAME-no -- cat",
            3,
            "msgq: cannot serve $NAME-no: no such message queue (ENOENT)",
            "add --create to create the queue",
            0,
        ),
        (
            "ipcbox msgq call $NAME-no x",
            125,
            "msgq: cannot call $NAME-no: no such message queue (ENOENT)",
            "ipcbox msgq create $NAME-no",
            0,
        ),
        ("ipcbox fifo read no", 3, "fifo: cannot read no: no such FIFO (ENOENT)", "add --create to create the FIFO", 0),
        (
            "ipcbox fifo write no x",
            3,
            "fifo: cannot write to no: no such FIFO (ENOENT)",
            "add --create to create the FIFO",
            0,
        ),
        ("ipcbox fifo read no/no", 3, "fifo: cannot read no/no: the parent directory does not exist (ENOENT)", "", 0),
        (
            "ipcbox sem op $NAME-plain 5:-1",
            2,
            "sem: cannot operate on $NAME-plain: the set has one semaphore, number 0 (EFBIG)",
            "",
            0,
        ),
    ]);
}

#[test]
fn shell_operator_is_explained_only_after_a_failure() {
    check(&[
        (
            "ipcbox pipe run -- false '|' cat",
            1,
            "pipe: false exited with status 1; '|' was passed to it as an argument",
            "ipcbox pipe run -- false ::: cat",
            1,
        ),
        (
            "ipcbox pipe tee -- false '>' out",
            1,
            "pipe: false exited with status 1; '>' was passed to it as an argument",
            "ipcbox pipe tee --shell 'false > out'",
            1,
        ),
        ("ipcbox pipe run -- grep '|' data.txt", 1, "", "", 0),
        ("ipcbox pipe run -- echo '|' cat", 0, "", "", 0),
        ("ipcbox pipe tee out1 out2", 2, "pipe: unexpected argument 'out1'; -o names a file", "use -o out1 -o out2", 0),
    ]);
}

#[test]
fn words_with_another_meaning_are_dropped() {
    check(&[
        ("ipcbox shm chmod 660 12345", 2, "shm: no verb 'chmod'; did you mean 'set'?", "ipcbox shm set --help", 0),
        (
            "ipcbox sem chmod 600 $NAME-plain",
            2,
            "sem: no verb 'chmod'; did you mean 'set'?",
            "ipcbox sem set --help",
            0,
        ),
        ("ipcbox shm chown 1000 77", 2, "shm: no verb 'chown'; did you mean 'set'?", "ipcbox shm set --help", 0),
        (
            "ipcbox kill 9 $PID",
            2,
            "ipcbox: no applet 'kill'; did you mean 'signal send'?",
            "ipcbox signal send --help",
            0,
        ),
        (
            "ipcbox kill -9 $PID -99999",
            2,
            "ipcbox: no applet 'kill'; did you mean 'signal send'?",
            "ipcbox signal send --help",
            0,
        ),
        ("ipcbox signal send 0 $PID -99999", 2, "signal: PID: expected a process id, not '-99999'", "", 0),
        ("ipcbox signal send 9 0", 2, "signal: PID: expected a process id, not '0'", "", 0),
        ("ipcbox signal send TERM $PID KILL", 2, "signal: PID: expected a process id, not 'KILL'", "", 0),
        (
            "ipcbox sem release $NAME-lk -w 5",
            2,
            "sem: no verb 'release': a slot or lock is released when CMD exits, or by 'sem hold --release'",
            "ipcbox sem hold --help",
            0,
        ),
        ("ipcbox signal run -INT 5 true", 125, "signal: no option '-I'", "ipcbox signal run --help", 0),
    ]);
}

#[test]
fn unexpanded_word_stays_quoted() {
    check(&[
        (
            "ipcbox sem run '$(touch pwn)' -- true",
            125,
            "sem: TARGET '$(touch pwn)': a name may contain only letters, digits, '.', '_' and '-', not '$'",
            "",
            0,
        ),
        (
            "ipcbox sem run '$x; rm -rf ~' -- true",
            125,
            "sem: TARGET '$x; rm -rf ~': a name may contain only letters, digits, '.', '_' and '-', not '$'",
            "",
            0,
        ),
        (
            "ipcbox sem run \"\\$(rm -rf x)'\" -- true",
            125,
            "sem: TARGET '$(rm -rf x)'': a name may contain only letters, digits, '.', '_' and '-', not '$'",
            "",
            0,
        ),
        (
            "ipcbox msgq stat '$(touch ./pwn)'",
            2,
            "msgq: TARGET: expected a name without '/', not '$(touch ./pwn)'",
            "",
            0,
        ),
        (
            "ipcbox sem run '${UNSET}' -- echo '${UNSET}'",
            125,
            "sem: TARGET: the shell did not expand '${UNSET}': use double quotes or no quotes",
            "ipcbox sem run \"${UNSET}\" -- echo '${UNSET}'",
            125,
        ),
    ]);
}

#[test]
fn path_is_not_another_object() {
    check(&[
        (
            "ipcbox shm rm /dev/shm/$NAME-no",
            2,
            "shm: TARGET: expected a name, or a POSIX name with '/' only at the start, not '/dev/shm/$NAME-no'",
            "ipcbox shm rm /$NAME-no",
            3,
        ),
        ("ipcbox sem rm ./$NAME-lk", 3, "sem: cannot remove ./$NAME-lk: no such file (ENOENT)", "", 0),
        (
            "ipcbox shm set /tmp/$NAME-m 5",
            2,
            "shm: TARGET: expected a name, or a POSIX name with '/' only at the start, not '/tmp/$NAME-m'",
            "",
            0,
        ),
    ]);
}

#[test]
fn command_keeps_its_words() {
    check(&[
        (
            "ipcbox sem run $NAME-sl 2 echo -j 2",
            125,
            "sem: unexpected argument '2' (did you mean --slots 2?)",
            "ipcbox sem run $NAME-sl --slots 2 -- echo -j 2",
            0,
        ),
        (
            "ipcbox timeout 5 -k 2 true",
            2,
            "ipcbox: no applet 'timeout'; did you mean 'signal run'?",
            "ipcbox signal run --max-time 5 --then TERM:2 --then KILL -- true",
            0,
        ),
        (
            "ipcbox sem run $NAME-sl -j 2 echo -j 4",
            125,
            "sem: no option '-j'; did you mean '--slots 2'?",
            "ipcbox sem run $NAME-sl --slots 2 -- echo -j 4",
            0,
        ),
        (
            "ipcbox timeout -k 2 5 echo -k 2",
            2,
            "ipcbox: no applet 'timeout'; did you mean 'signal run'?",
            "ipcbox signal run --then TERM:2 --then KILL --max-time 5 -- echo -k 2",
            0,
        ),
        (
            "ipcbox flock -x $NAME-lk echo -x -f",
            2,
            "ipcbox: no applet 'flock'; did you mean 'sem lock'?",
            "ipcbox sem lock $NAME-lk -- echo -x -f",
            0,
        ),
        (
            "ipcbox signal run 5s -- true",
            125,
            "signal: unexpected argument '5s' (did you mean --max-time 5s?)",
            "ipcbox signal run --max-time 5s -- true",
            0,
        ),
        (
            "ipcbox sem lock $NAME-lk -c 'echo hi' -w 5",
            125,
            "sem: the command goes after '--'",
            "ipcbox sem lock $NAME-lk -w 5 -- sh -c 'echo hi'",
            0,
        ),
        ("ipcbox sem lock $NAME-lk -c 'echo hi' -- true", 125, "sem: no option '-c'", "ipcbox sem lock --help", 0),
        ("ipcbox sem run $NAME-sl --watch 5", 125, "sem: no option '--watch'", "ipcbox sem run --help", 0),
    ]);
}

#[test]
fn refused_guess_is_not_printed() {
    check(&[
        ("ipcbox sem lock $NAME-lk -c", 125, "sem: no option '-c'", "ipcbox sem lock --help", 0),
        ("ipcbox signal run -k 3 -s INT 10 true", 125, "signal: no option '-k'", "ipcbox signal run --help", 0),
        (
            "ipcbox timeout -s INT -k 3 10 true",
            2,
            "ipcbox: no applet 'timeout'; did you mean 'signal run'?",
            "ipcbox signal run --help",
            0,
        ),
        ("ipcbox signal send -s", 2, "signal: no option '-s'", "ipcbox signal send --help", 0),
        ("ipcbox signal send KILL -sshd", 2, "signal: no option '-s'", "ipcbox signal send --help", 0),
        ("ipcbox pipe run grep -w x f", 125, "pipe: no option '-w'", "ipcbox pipe run --help", 0),
        ("ipcbox ipcs-lite -u --watch=1 x -n", 2, "ipcs-lite: no option '-n'", "ipcbox ipcs-lite --help", 0),
    ]);
}

#[test]
fn word_that_cannot_be_shown_has_no_hint() {
    check(&[
        (
            "ipcbox msgq push $NAME-q \"$(printf 'a\\nb')\"",
            2,
            "msgq: no verb 'push'; did you mean 'send'?",
            "ipcbox msgq send --help",
            0,
        ),
        (
            "ipcbox msgq push $NAME-q \"$(printf 'a\\377b')\"",
            2,
            "msgq: no verb 'push'; did you mean 'send'?",
            "ipcbox msgq send --help",
            0,
        ),
        (
            "ipcbox sem lock $NAME-lk echo \"$(printf 'a\\tb')\"",
            125,
            "sem: the command goes after '--'",
            "ipcbox sem lock --help",
            0,
        ),
        (
            "ipcbox sem acquire \"$(printf 'b\\377')\"",
            2,
            "sem: no verb 'acquire': 'sem run' holds a slot while CMD runs, and 'sem hold' until a process exits",
            "ipcbox sem hold --help",
            0,
        ),
    ]);
}

#[test]
fn option_without_a_counterpart_is_named() {
    check(&[
        (
            "ipcbox signal send TERM $PID -w 5",
            2,
            "signal: no option '-w'; did you mean '--wait 5'?",
            "ipcbox signal send TERM $PID --wait 5",
            0,
        ),
        ("ipcbox signal send TERM $PID -w", 2, "signal: no option '-w'", "ipcbox signal send --help", 0),
        ("ipcbox sem lock $NAME-lk --nonblock=true -- true", 125, "sem: --nonblock takes no value", "", 0),
        ("ipcbox sem lock $NAME-lk --quiet=x -- true", 125, "sem: --quiet takes no value", "", 0),
        ("ipcbox shm set $NAME-m 5 --create=x", 2, "shm: --create takes no value", "", 0),
        (
            "ipcbox sem lock $NAME-lk -n=1 -- true",
            125,
            "sem: '=' follows an option that takes no value",
            "ipcbox sem lock --help",
            0,
        ),
        (
            "ipcbox ipcs-lite -p=1",
            2,
            "ipcs-lite: '=' follows an option that takes no value",
            "ipcbox ipcs-lite --help",
            0,
        ),
        ("ipcbox -J x", 2, "ipcbox: no option '-J'", "ipcbox --help", 0),
        ("ipcbox help -x", 2, "ipcbox: no option '-x'", "ipcbox --help", 0),
        ("ipcbox help -- sem", 2, "ipcbox: no option '--'", "ipcbox --help", 0),
    ]);
}

#[test]
fn help_has_topics() {
    for topic in ["targets", "exit", "json", "cookbook", "sem run", "sem"] {
        World::new().call(&format!("help {topic}")).ok();
    }
}

#[test]
fn unused_slots_are_left_with_a_hint() {
    let world = World::new();
    if !world.is_own() {
        return skip("it needs an IPC namespace of its own");
    }
    world.shell("ipcbox sem create $NAME-sl --slots 2 -q; ipcbox sem create $NAME-plain -q").ok();
    let output = world.call("ipcrm-lite --unused --yes").output();
    let printed = lines(&output.stderr);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(printed[0], "ipcrm-lite: left 1 set of slots alone");
    let hint = printed[1].strip_prefix("hint: ").unwrap();
    world.shell(hint).ok();
    world.call("sem get @sl").fails(3, "no such semaphore set");
}
