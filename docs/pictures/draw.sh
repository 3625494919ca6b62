#!/bin/sh
# Draws the pictures of the README again, each from a run by the command that stands with it there:
# sh docs/pictures/draw.sh .venv/bin/dtd-run
set -eu
program=$(realpath "$1")
pictures=$(realpath "$(dirname "$0")")
runs=$(mktemp -d)
trap 'rm -r "$runs"' EXIT
cd "$runs"
"$(dirname "$program")/python" -c "from sklearn.datasets import load_wine as w; d = w(as_frame=True); d.frame.replace({'target': dict(enumerate(d.target_names))}).to_csv('wine.csv', index=False)"

draw() {  # NAME PLOT SETTINGS...
    name=$1 plot=$2
    shift 2
    "$program" "$@" hydra.run.dir="$name.run" progress=false
    cp "$name.run/plots/$plot" "$pictures/$name"
}

draw digits.png heatmaps.png rule=z+ seed=3 inputs.n=2
draw wine.png relevance_bars.png inputs=csv inputs.path=wine.csv inputs.label=target \
    inputs.standardize=true 'network.hidden=[8]' rule=z+ input_rule=w2 'plots.samples=[1,5]'
draw regions.png region_map.png experiment=root_strategies network=mlp network.seed=7 \
    'network.hidden=[12,8]' inputs=grid inputs.points=4 region_map.sample=10 \
    compare_input_roots.random.sigma=0.5 plots.dpi=100
draw strategies.png strategies.png experiment=root_strategies
draw any_explanation.png heatmaps.png experiment=any_explanation inputs.n=2
draw paths.png path_graph.png inputs=csv inputs.path=wine.csv inputs.label=target \
    inputs.standardize=true 'network.hidden=[8]' rule=z+ input_rule=w2 'plots.samples=[5]' \
    relevance.paths=true
