# Sourced by the other scripts: installs what the build needs, or says in one line what to run.

# Debian packages a build needs, and those that only tests need.
build_packages=(libssl-dev libsodium-dev libsqlite3-dev pkg-config)
test_packages=(openssl sqlite3 strace e2fsprogs eatmydata util-linux python3 python3-cryptography)

missing_packages() {
  local package
  for package in "$@"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q '^install ok installed' || printf '%s ' "$package"
  done
}

# require PACKAGE...: installs what is missing as root; else stops with the line to run.
require() {
  local missing
  missing=$(missing_packages "$@")
  [ -z "$missing" ] && return 0
  if [ "$(id -u)" = 0 ]; then
    echo "installing: $missing"
    # shellcheck disable=SC2086
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
  else
    echo "missing packages; run: sudo apt-get install -y $missing" >&2
    return 1
  fi
}

require_swift() {
  command -v swift >/dev/null && return 0
  echo "no Swift toolchain on the PATH: install Swift 6.2 or later from swift.org" >&2
  return 1
}
