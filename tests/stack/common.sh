# Sourced by the server scripts: where data lies, who is alive, which port is free.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
repo=$(cd "$here/../.." && pwd)
stack=${STACK_DIR:-$repo/.stack}

say() { echo "stack: $*" >&2; }
die() { say "$*"; exit 1; }

# running PIDFILE TEXT: the process lives (no zombie, no reused number) and its command names TEXT
running() {
  local pid; pid=$(cat "$1" 2>/dev/null) && [ -n "$pid" ] &&
    tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline" | grep -qF -- "$2"
}

# end PIDFILE TEXT SIGNAL: ask the server to stop, insist after 20 s
end() {
  running "$1" "$2" || { rm -f "$1"; return 0; }
  local pid k; pid=$(cat "$1"); kill -"$3" "$pid"
  for k in $(seq 200); do running "$1" "$2" || break; sleep 0.1; done
  ! running "$1" "$2" || kill -KILL "$pid"
  rm -f "$1"
}

taken() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# free_port WANTED: that port, or the next free one (another checkout's servers may hold it);
# the one after it is free too
free_port() {
  local port=$1
  while taken "$port" || taken $((port + 1)); do port=$((port + 10)); done
  echo "$port"
}

# until_ready SECONDS LOG PIDFILE TEXT COMMAND..: waits for COMMAND to succeed while the server lives
until_ready() {
  local k limit=$1 log=$2 pidfile=$3 text=$4; shift 4
  for k in $(seq $((limit * 10))); do
    "$@" >/dev/null 2>&1 && return
    [ "$k" -lt 5 ] || running "$pidfile" "$text" || break
    sleep 0.1
  done
  tail -15 "$log" >&2; die "no answer from: $text"
}
