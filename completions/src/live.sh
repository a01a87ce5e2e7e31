# Prints what exists, one word per line, with its description after a tab. $1: pid, pipe (of the process $2), or a kind of object
# (ipc: all of them); with -id or -key only ids or keys.
case $1 in
pid)
    # The glob is expanded first, so that no process of the pipeline below is listed.
    set -- /proc/[0-9]*/cmdline
    LC_ALL=C grep -sam1 "" "$@" | LC_ALL=C tr "\000-\011\013-\037\177" " " | awk "{
        pid = substr(\$0, 7, index(\$0, \"/cmdline:\") - 7)
        if (pid != $$) print pid \"\t\" substr(\$0, length(pid) + 16, 120)
    }"
    ;;
pipe)
    for fd in "/proc/$2/fd/"*; do
        [ ! -p "$fd" ] || printf "%s\t\n" "${fd##*/}"
    done
    ;;
*)
    kinds=${1%-*}
    [ "$kinds" != ipc ] || kinds="shm msg sem"
    stat -c "%U %s %n" /dev/shm/* /dev/mqueue/* | awk -v kinds=" $kinds " -v part="${1#*-}" "
        function offer(word, kind, text) {
            if (index(kinds, \" \" kind \" \") && word !~ /[\001-\037\177]/) print word \"\t\" text
        }
        function hex(key, text, n) {
            if (key < 0) key += 4294967296
            for (n = 8; n--; key = int(key / 16)) text = substr(\"0123456789abcdef\", key % 16 + 1, 1) text
            return \"0x\" text
        }
        FILENAME == \"/etc/passwd\" { split(\$0, field, \":\"); user[field[3]] = field[1]; next }
        FILENAME ~ /sysvipc/ && FNR > 1 {
            kind = substr(FILENAME, 15)
            uid = kind == \"sem\" ? \$5 : \$8
            text = (uid in user ? user[uid] : uid) \", \"
            if (kind == \"msg\") text = text \"messages: \" \$5
            if (kind == \"sem\") text = text \"semaphores: \" \$4
            if (kind == \"shm\") text = text \"bytes: \" \$4 \", attached: \" \$7
            if (part != \"key\") offer(\$2, kind, text)
            if (part != \"id\" && \$1 != 0) offer(hex(\$1), kind, text)
        }
        FILENAME == \"-\" && part != \"id\" && part != \"key\" {
            name = \$0
            sub(/.*\//, \"/\", name)
            if (\$3 ~ /^.dev.mqueue/) offer(name, \"msg\", \$1)
            else if (sub(/^.sem\./, \"/\", name)) offer(name, \"sem\", \$1)
            else offer(name, \"shm\", \$1 \", bytes: \" \$2)
        }
    " /etc/passwd /proc/sysvipc/shm /proc/sysvipc/msg /proc/sysvipc/sem -
    ;;
esac 2>/dev/null
