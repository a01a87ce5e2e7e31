# A Redis of the test's own, and redis-cli that finds it.
redis-server --port 0 --unixsocket "$HOME/redis" --save '' --dir "$HOME" >redis.log &
mkdir -p "$HOME/with"
printf '#!/bin/sh\nexec %s -s %s "$@"\n' "$(command -v redis-cli)" "$HOME/redis" >"$HOME/with/redis-cli"
chmod +x "$HOME/with/redis-cli"
PATH=$HOME/with:$PATH
until redis-cli ping >/dev/null 2>&1; do sleep 0.01; done
