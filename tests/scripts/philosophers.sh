#!/bin/sh
# Dining philosophers: SEATS philosophers eat MEALS times each, taking the forks on both sides at once.
set -eu
seats=$1 meals=$2 table=$NAME-table

sem create "$table" --value 1 --nsems "$seats" >/dev/null
seat=0
while [ "$seat" -lt "$seats" ]; do
    right=$(((seat + 1) % seats))
    (
        meal=0
        while [ "$meal" -lt "$meals" ]; do
            # mkdir fails if a neighbour has the same fork.
            sem op "$table" "$seat:-1u" "$right:-1u" -- sh -euc '
                mkdir "fork$0" "fork$1"
                echo >>eaten
                rmdir "fork$0" "fork$1"' "$seat" "$right"
            meal=$((meal + 1))
        done
    ) &
    seat=$((seat + 1))
done
wait
[ "$(sem get --all "$table")" = "$(yes 1 | head -n "$seats" | tr '\n' ' ' | sed 's/ $//')" ]
echo "$seats philosophers, $(wc -l <eaten) meals"
sem rm "$table"
