#!/bin/bash
# Installs the Debian packages that tests need and that are missing: Mosquitto (an external broker) and its clients,
# RabbitMQ (a broker that asks over HTTP), Chromium (pages), Prometheus, curl, libfaketime, a C++ compiler. Without root
# it only says what is missing: those tests are skipped.
set -euo pipefail

missing=()
command -v mosquitto >/dev/null || [ -x /usr/sbin/mosquitto ] || missing+=(mosquitto)
ls /usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin/rabbitmq-server >/dev/null 2>&1 || missing+=(rabbitmq-server)
command -v chromium-headless-shell >/dev/null || missing+=(chromium-headless-shell) # Chromium without its own windows
command -v promtool >/dev/null || missing+=(prometheus) # metrics, rules and dashboards
ls /usr/lib/*/faketime/libfaketime.so.1 >/dev/null 2>&1 || missing+=(libfaketime) # clocks that are off
command -v curl >/dev/null || missing+=(curl) # README's tour
command -v mosquitto_pub >/dev/null || missing+=(mosquitto-clients) # what the console gives to copy is run as it stands
command -v g++ >/dev/null || missing+=(g++) # and compiled, for boards
[ "${#missing[@]}" -eq 0 ] && exit 0

if ! command -v apt-get >/dev/null || [ "$(id -u)" -ne 0 ]; then
  echo "Not installed: ${missing[*]}; the tests that need them will be skipped." >&2
  exit 0
fi

# Mosquitto's, RabbitMQ's and Prometheus's packages start system services, which would hold their ports: policy-rc.d forbids it
# meanwhile.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod 755 "$policy"
  trap 'rm -f "$policy"' EXIT
fi

export DEBIAN_FRONTEND=noninteractive
echo "Installing ${missing[*]}"
log=$(mktemp)
if ! { apt-get update && apt-get install -y --no-install-recommends "${missing[@]}"; } >"$log" 2>&1 </dev/null; then
  tail -20 "$log" >&2
  [ "${CI:-}" = true ] && { echo "Could not install ${missing[*]}." >&2; exit 1; }
  echo "Could not install ${missing[*]}; the tests that need them will be skipped." >&2
fi
rm -f "$log"
