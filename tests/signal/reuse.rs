use super::contained;
use crate::support::World;

/// A process ends, and its number goes to another one, which must not be hit.
#[test]
fn a_number_that_was_used_again_is_not_hit() {
    let world = World::new();
    // Only the one who may set the last pid of a namespace can have a number used again at once.
    let script = "
        sleep 100 & pid=$!
        set -- $($BOX signal stat $pid --no-header --columns inode,start)
        by_inode=$pid:$1 by_start=$pid@$2
        $BOX signal send 0 $by_inode $by_start
        kill -KILL $pid; wait $pid 2>/dev/null || :
        # The start is counted in hundredths of a second.
        while [ $(cut -d' ' -f22 /proc/self/stat) = $2 ]; do :; done
        [ $($PUPPET reuse $pid) = $pid ]
        new=$(cat /proc/$pid/comm)
        [ $new = puppet ]
        for form in $by_inode $by_start; do
            for verb in 'send KILL' 'send KILL --tree' 'send KILL --wait 1' stat join; do
                s=0; $BOX signal $verb $form 2>>err || s=$?
                [ $s = 3 ]
            done
        done
        grep -c 'is another process by now' err
        [ $(cat /proc/$pid/comm) = puppet ]
        $BOX signal send TERM $pid
    ";
    let Some(call) = contained(&world, 100, true, script) else { return };
    call.stdout("10\n").ok();
}
