#!/bin/sh
# Readers and writers: WRITERS replace a text of two equal lines in two steps, and no READER sees half of it.
set -eu
readers=$1 writers=$2 times=$3 lock=$NAME-lock

repeat() {
    n=0
    while [ "$n" -lt "$times" ]; do
        "$@"
        n=$((n + 1))
    done
}
writes() { sem lock "$lock" -- sh -euc 'echo "$0" >text; echo "$0" >>text; echo >>written' "$1.$n"; }
reads() {
    sem lock "$lock" --shared -- sh -euc '
        { read -r first && read -r second; } <text
        [ "$first" = "$second" ] || echo torn >>torn
        echo >>read'
}

n=0
writes first
rm written
i=0
while [ "$i" -lt "$writers" ]; do
    repeat writes "writer$i" &
    i=$((i + 1))
done
i=0
while [ "$i" -lt "$readers" ]; do
    repeat reads &
    i=$((i + 1))
done
wait
: >>torn
echo "$(wc -l <written) writes, $(wc -l <./read) reads, $(wc -l <torn) torn"
sem rm "$lock"
