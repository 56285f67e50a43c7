#!/usr/bin/env bash
# Takes three.js from the npm registry into the package, for a page that works without the internet.
set -euo pipefail
version=0.184.0
folder=$(cd "$(dirname "$0")/.." && pwd)/cmr_ros/viewing/web/three
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

(cd "$scratch" && npm pack --silent "three@$version" && tar xzf "three-$version.tgz")
mkdir -p "$folder"
cp "$scratch"/package/{LICENSE,build/three.core.min.js,build/three.module.min.js} "$folder"
# Browsers resolve no bare names without an import map, which the page's security policy forbids.
sed "s|from 'three';|from './three.module.min.js';|" \
  "$scratch/package/examples/jsm/controls/OrbitControls.js" > "$folder/OrbitControls.js"
