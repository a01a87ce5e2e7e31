# A machine called host, for ssh: this one, in the same IPC namespace.
mkdir -p "$HOME/.host" "$HOME/with"
[ "$(id -u)" != 0 ] || mkdir -p /run/sshd
ssh-keygen -q -t ed25519 -N '' -f "$HOME/.host/key"
cp "$HOME/.host/key.pub" "$HOME/.host/authorized_keys"
cat >"$HOME/.host/sshd" <<END
HostKey $HOME/.host/key
AuthorizedKeysFile $HOME/.host/authorized_keys
StrictModes no
UsePAM no
PermitRootLogin yes
PidFile none
SetEnv PATH=$PATH
END
cat >"$HOME/.host/config" <<END
Host host
ProxyCommand $(command -v sshd) -i -f $HOME/.host/sshd
IdentityFile $HOME/.host/key
User $(id -un)
UserKnownHostsFile /dev/null
StrictHostKeyChecking no
LogLevel ERROR
END
printf '#!/bin/sh\nexec %s -F %s "$@"\n' "$(command -v ssh)" "$HOME/.host/config" >"$HOME/with/ssh"
chmod +x "$HOME/with/ssh"
PATH=$HOME/with:$PATH
