#!/bin/sh
# Producers and consumers over a store of 5 places: semaphore 0 counts items, semaphore 1 free places.
set -eu
producers=$1 consumers=$2 each=$3 store=$NAME-store

sem create "$store" --value 0,5 >/dev/null
mkdir store taken
i=0
while [ "$i" -lt "$producers" ]; do
    (
        n=0
        while [ "$n" -lt "$each" ]; do
            sem op "$store" 1:-1
            : >"store/$i.$n"
            sem op "$store" 0:+1
            n=$((n + 1))
        done
    ) &
    i=$((i + 1))
done
all=$((producers * each))
i=0
while [ "$i" -lt "$consumers" ]; do
    (
        n=0
        while [ "$n" -lt $((all / consumers)) ]; do
            sem wait "$store"
            # The process that moves an item has it. There is one for each that passed the semaphore.
            got=
            while [ -z "$got" ]; do
                for item in store/*; do
                    if mv "$item" "taken/$i.${item#store/}" 2>/dev/null; then
                        got=$item
                        break
                    fi
                done
            done
            sem post "$store" --index 1
            n=$((n + 1))
        done
    ) &
    i=$((i + 1))
done
wait
[ "$(sem get --all "$store")" = "0 5" ]
taken=$(ls taken | wc -l)
different=$(ls taken | sed 's/^[0-9]*\.//' | sort -u | wc -l)
echo "$all produced, $taken taken, $((all - different)) lost, $((taken - different)) duplicated"
sem rm "$store"
