#!/usr/bin/env bash
# TimescaleDB's community (TSL) edition as a WebAssembly PostgreSQL, from npm: for tests alone, never
# shipped. It serves one client at a time, dies of any COPY, and runs policies only by CALL run_job.
#   tsl.sh start|stop|status|purge      prints STACK_TSL=postgresql://...
# Environment: STACK_TSL_PORT (5644)
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
home=$stack/tsl; log=$home/server.log
mark=$home/server.mjs

fetch() {
  command -v node >/dev/null && command -v npm >/dev/null || die "TSL needs node 18 or later and npm"
  cmp -s "$here/tsl/package.json" "$home/package.json" && [ -e "$home/.complete" ] && return
  say "fetching TimescaleDB's community edition"
  rm -rf "$home/node_modules" "$home/.complete"
  cp "$here/tsl/package.json" "$home/"
  npm install --prefix "$home" --no-package-lock --no-audit --no-fund --ignore-scripts \
    >"$home/npm.log" 2>&1 || die "npm could not install the TSL server, see $home/npm.log"
  touch "$home/.complete"
}

case "${1:-}" in
  start)
    mkdir -p "$home"
    if ! running "$home/pid" "$mark"; then
      fetch; cp "$here/tsl/server.mjs" "$mark"
      port=$(free_port "${STACK_TSL_PORT:-5644}")
      : >"$log"
      nohup setsid node "$mark" "$port" >>"$log" 2>&1 </dev/null 9>&- &
      echo $! >"$home/pid"
      until_ready 60 "$log" "$home/pid" "$mark" grep -qx ready "$log"
      # It takes any password and refuses a client that asks for TLS first.
      echo "STACK_TSL=postgresql://postgres:any@127.0.0.1:$port/postgres?sslmode=disable" >"$home/address"
    fi
    cat "$home/address" ;;
  stop) end "$home/pid" "$mark" TERM ;;
  status) running "$home/pid" "$mark" && echo "up pid $(cat "$home/pid") $(cat "$home/address")" ;;
  purge) end "$home/pid" "$mark" KILL; rm -rf "$home" ;;
  *) sed -n 2,5p "$0" >&2; exit 2 ;;
esac
