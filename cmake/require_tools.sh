#!/bin/sh
# Say in one line what this machine lacks to build the package; with --install, install it.
# Usage: require_tools.sh PYTHON [--install]

python=$1
fail() {
  echo "cmr_ros: $1" >&2
  exit 1
}

missing=
command -v "${CC:-cc}" >/dev/null && command -v "${CXX:-c++}" >/dev/null || missing=" g++"
if command -v "$python" >/dev/null; then
  "$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))' ||
    fail "$("$python" -V 2>&1) is too old; install 3.10 or newer and name it: make PYTHON=python3.12"
  name=$("$python" -c 'import sys; print("python%d.%d" % sys.version_info[:2])')
  headers=$("$python" -c 'import sysconfig; print(sysconfig.get_path("include"))')
  [ -f "$headers/Python.h" ] || missing="$missing $name-dev"
  "$python" -c 'import ensurepip, venv' 2>/dev/null || missing="$missing $name-venv"
else
  missing="$missing $(basename "$python") python3-dev python3-venv"
fi
[ -z "$missing" ] && exit 0

if [ "$2" = --install ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  echo "cmr_ros: installing$missing"
  # shellcheck disable=SC2086 # a list of packages
  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -yqq $missing && exit 0
fi
fail "this machine lacks a C/C++ compiler, Python or parts of it; on Debian or Ubuntu: \
sudo apt-get install$missing"
