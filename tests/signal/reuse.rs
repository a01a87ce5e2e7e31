use super::contained;
use crate::support::World;

/// The pid of an exited process is reused by another, which must not be signalled.
#[test]
fn reused_pid_is_not_signalled() {
    let world = World::new();
    // Only a caller that may set the last pid of a namespace can have a pid reused at once.
    let script = "
        sleep 100 & pid=$!
        set -- $($BOX signal stat $pid --no-header --columns inode,start)
        # Linux before 6.9 has no inodes.
        if [ $1 = - ]; then forms=$pid@$2; else forms=\"$pid:$1 $pid@$2\"; fi
        $BOX signal send 0 $forms
        kill -KILL $pid; wait $pid 2>/dev/null || :
        # The start is counted in hundredths of a second.
        while [ $(cut -d' ' -f22 /proc/self/stat) = $2 ]; do :; done
        [ $($PUPPET reuse $pid) = $pid ]
        new=$(cat /proc/$pid/comm)
        [ $new = puppet ]
        for form in $forms; do
            for verb in 'send KILL' 'send KILL --tree' 'send KILL --wait 1' stat join; do
                s=0; $BOX signal $verb $form 2>>err || s=$?
                [ $s = 3 ]
            done
        done
        # Each form, in each of the five calls.
        [ $(grep -c 'the pid has been reused by another process' err) = $(($(echo $forms | wc -w) * 5)) ]
        [ $(cat /proc/$pid/comm) = puppet ]
        $BOX signal send TERM $pid
    ";
    let Some(call) = contained(&world, 100, true, script) else { return };
    call.stdout("").ok();
}
