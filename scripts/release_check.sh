#!/usr/bin/env bash
# Builds the source distribution, and from it a wheel for each Python; installs it as others do,
# finds hands in a recording, and makes a node.  Leaves the files in dist/.
# Usage: scripts/release_check.sh python3.10 python3.12 ...
set -euo pipefail
cd "$(dirname "$0")/.."
unset PYTHONPATH PYTHONHOME LD_LIBRARY_PATH AMENT_PREFIX_PATH ROS_DISTRO
export PIP_DISABLE_PIP_VERSION_CHECK=1

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
rm -rf dist
"$1" -m venv "$work/build"
"$work/build/bin/pip" install --quiet build 'setuptools>=78.1.1,<80'
"$work/build/bin/python" -m build --sdist --no-isolation --skip-dependency-check --outdir dist > "$work/sdist.log" \
  2>&1 || { tail -5 "$work/sdist.log"; exit 1; }

for python in "$@"; do
  environment=$work/$(basename "$python")
  "$python" -m venv "$environment"
  bin=$environment/bin
  # In isolation: with what pyproject.toml declares, and nothing else.
  "$bin/pip" wheel --quiet --no-deps --wheel-dir "$work/wheel" dist/*.tar.gz
  "$bin/pip" install --quiet "$(echo "$work"/wheel/*.whl)[ros,cpu,demo,infer]"
  mv "$work"/wheel/*.whl dist/
  (
    cd "$work"
    "$bin/cmr" infer "$environment/share/cmr_ros/weights/demo.mcap" --json "$environment/hands" \
      > "$environment/log" 2>&1 || { tail -5 "$environment/log"; exit 1; }
    AMENT_PREFIX_PATH=$environment ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST "$bin/python" -c "
import json, sys
import rclpy
from cmr_ros.ros.node import HandNode

images = [json.loads(line) for line in open('$environment/hands')]
rclpy.init()
HandNode().destroy_node()
found = sum(bool(image['hands']) for image in images)
print(f'Python {sys.version.split()[0]}: hands in {found} of {len(images)} images; node made')
assert found > len(images) / 2
"
  )
done
