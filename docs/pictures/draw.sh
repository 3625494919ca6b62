#!/bin/sh
# Draws the pictures of the README again, each from a run by the command that stands with it there:
# sh docs/pictures/draw.sh .venv/bin/dtd-run
set -eu
program=$1
pictures=$(dirname "$0")
runs=$(mktemp -d)
trap 'rm -r "$runs"' EXIT

draw() {  # NAME PLOT SETTINGS...
    name=$1 plot=$2
    shift 2
    "$program" "$@" hydra.run.dir="$runs/$name" progress=false
    cp "$runs/$name/plots/$plot" "$pictures/$name"
}

draw digits.png heatmaps.png rule=z+ seed=3 inputs.n=4
draw regions.png region_map.png experiment=root_strategies network=mlp network.seed=7 \
    'network.hidden=[12,8]' inputs=grid inputs.points=4 region_map.sample=10 \
    compare_input_roots.random.sigma=0.5
draw strategies.png strategies.png experiment=root_strategies
draw any_explanation.png heatmaps.png experiment=any_explanation inputs.n=3
