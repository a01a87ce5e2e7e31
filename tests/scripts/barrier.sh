#!/bin/sh
# A reusable barrier: PARTIES pass ROUNDS rounds in step. Each party adds a line before the barrier, so that after it the
# file of that round is complete. A party that runs ahead into the next round would find an incomplete file.
set -eu
parties=$1 rounds=$2 barrier=$NAME-barrier

party=0
while [ "$party" -lt "$parties" ]; do
    (
        round=0
        while [ "$round" -lt "$rounds" ]; do
            echo >>"come.$round"
            sem barrier "$barrier" "$parties"
            [ "$(wc -l <"come.$round")" -eq "$parties" ] || echo "$round" >>out-of-step
            round=$((round + 1))
        done
        echo >>gone
    ) &
    party=$((party + 1))
done
wait
[ "$(wc -l <gone)" -eq "$parties" ]
: >>out-of-step
echo "$parties parties, $rounds rounds, $(wc -l <out-of-step) out of step"
sem rm "$barrier"
