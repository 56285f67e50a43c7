#!/usr/bin/env bash
# Check, time and train on one NVIDIA GPU, in at most nine minutes and without a network.
#
#   scripts/gpu_check.sh [-o DIR] [--rehearse]     (DIR: $OUT or gpu_out)
#
# Needs a Python with torch for CUDA; ROS is not needed.  What that Python lacks is taken from the
# folder .gpu, if there is one: wheels (scripts/gpu_wheels.txt), OpenGL's loaders (*.deb), and skin
# textures and panoramas to render with (skins/, hdri/).  docs/performance.md tells how to fill it.
set -euo pipefail
cd "$(dirname "$0")/.."

carried=${CARRIED:-.gpu}
if [[ -z ${PYTHON:-} ]]; then
  PYTHON=python3
  [[ -x .venv/bin/python ]] && PYTHON=.venv/bin/python
fi
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
shopt -s nullglob

for wheel in "$carried"/*.whl; do  # one by one: one that does not fit must not keep out the others
  timeout 60 "$PYTHON" -m pip install --quiet --no-index --no-deps --no-compile --no-cache-dir \
    --disable-pip-version-check --upgrade --target "$scratch/site" "$wheel" ||
    echo "left out: $wheel" >&2
done
export PYTHONPATH=$PWD:$scratch/site${PYTHONPATH:+:$PYTHONPATH}

for package in "$carried"/*.deb; do
  dpkg -x "$package" "$scratch/gl" || echo "left out: $package" >&2
done
libraries=("$scratch"/gl/usr/lib/*-linux-gnu)
if (( ${#libraries[@]} )); then
  export LD_LIBRARY_PATH=${libraries[0]}${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
fi
# The loaders look for drivers in /usr/share and /etc only.
drivers=(/usr/share/glvnd/egl_vendor.d/*nvidia*.json /etc/glvnd/egl_vendor.d/*nvidia*.json)
elsewhere=(/usr/local/nvidia/share/glvnd/egl_vendor.d/*nvidia*.json)
if (( ! ${#drivers[@]} && ${#elsewhere[@]} )); then
  export __EGL_VENDOR_LIBRARY_FILENAMES=${elsewhere[0]}
fi

folders=()
for kind in skins hdri; do
  [[ -d $carried/$kind ]] && folders+=("--$kind" "$carried/$kind")
done

# Nothing outlives this: a check that hangs is ended a little after its time.
left=$(( ${SECONDS_IN_ALL:-540} - SECONDS ))
export PYTHONUNBUFFERED=1
timeout --kill-after=5 $(( left + 5 )) "$PYTHON" -m cmr_ros benchmark gpu \
  --seconds "$left" -o "${OUT:-gpu_out}" "${folders[@]}" "$@"
