/**
 * The scripts of the guest: its first process, and the agent that runs commands for `Guest` on the second serial
 * port. The first port is the console, so kernel messages never mix with a command's output.
 *
 * The agent's protocol, where RS is the byte 1Eh:
 *
 *     agent -> RS ready LF                         once, when the guest has booted
 *     agent <- id SP seconds SP base64(script) LF  one at a time
 *     agent -> RS begin SP id LF
 *     agent -> bytes of the script's standard output and error output, as they come
 *     agent -> RS end SP id SP status LF
 *
 * A script that takes longer than its seconds is killed with its process group; its status is then 137.
 */

/** Starts each message of the agent. */
export const AGENT_MARK = 0x1e;

/** The longest script in bytes: a line must fit into the buffers of the guest's serial port. */
export const SCRIPT_BYTES_MAX = 32 * 1024;

/** The first process, `/init`. It becomes the parent of whatever a command leaves behind. */
export const INIT_SCRIPT = `#!/bin/busybox sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=linux
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
mount -t tmpfs tmpfs /tmp
mount -t tmpfs tmpfs /run
mount -t debugfs debugfs /sys/kernel/debug
mount -t tracefs tracefs /sys/kernel/tracing
hostname guest
while :; do
  setsid /usr/sbin/agent
done
`;

/** The agent, `/usr/sbin/agent`. */
export const AGENT_SCRIPT = `#!/bin/busybox sh
exec </dev/ttyS1 >/dev/ttyS1 2>/dev/null
stty raw -echo
cd /root
printf '\\036ready\\n'
while IFS=' ' read -r id limit script; do
  { echo 'echo $$ >/run/group'; echo "$script" | base64 -d; } >/run/script
  printf '\\036begin %s\\n' "$id"
  setsid sh -c 'sleep $0; kill -KILL -$(cat /run/group)' "$limit" </dev/null >/dev/null &
  watch=$!
  # Not in the background: there a shell ignores Ctrl-C. Its remark on a killed command goes to its own stderr.
  (exec setsid /bin/sh /run/script </dev/null 2>&1)
  status=$?
  # It may not have got as far as having a group.
  kill -KILL -$watch || kill -KILL $watch
  wait $watch
  printf '\\036end %s %s\\n' "$id" "$status"
done
`;

/** Settings of the shell that a person gets on the console. */
export const PROFILE_SCRIPT = `export PS1='guest# '
`;
