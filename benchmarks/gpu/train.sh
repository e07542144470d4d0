#!/usr/bin/env bash
# One call on a machine with a GPU: do the tests pass there, how fast is a step, and a training of `paper` on endless classes.
#
#     bash benchmarks/gpu/train.sh DATA[,DATA…] OUT [MINUTES]
#
# DATA: folders of pictures; OUT gets tests.txt, rates.json, train.txt, and of the training its metrics and the averaged
# weights, in half precision, in pieces of 15 MB (cat network.pt.* > network.pt). Python needs the packages of pyproject.toml
# and pytest; nothing is installed: that there is a package named fgs is told by a file. Without CUDA
# it does the same with a tiny network, to try the script.
set -uo pipefail
data=${1:?folders of pictures} out=${2:?folder for what is found} minutes=${3:-5}
mkdir -p "$out"
out=$(realpath "$out")
IFS=, read -ra names <<< "$data"
folders=()
for name in "${names[@]}"; do folders+=(--data "$(realpath "$name")"); done
cd "$(dirname "$0")/../.."
named=$(mktemp -d)
mkdir "$named/fgs-0.dist-info"
printf 'Metadata-Version: 2.1\nName: fgs\nVersion: 0\n' > "$named/fgs-0.dist-info/METADATA"
python=${PYTHON:-python3}
export PYTHONPATH=$PWD:$named PYTHONUNBUFFERED=1
if "$python" -c 'import sys, torch; sys.exit(not torch.cuda.is_available())'; then
    device=cuda rates=(--preset paper --preset medium --rounds 10)
    how=(--preset paper --compile --precision bfloat16 --held-out 0.15 --minutes "$minutes")
else
    device=cpu rates=(--quick) how=(--preset small --steps 20)
fi

part() { printf '[%d s] %s\n' "$SECONDS" "$1"; }
part "tests on $device"
timeout 90 "$python" -m pytest -q -p no:cacheprovider -m gpu -n 0 tests/test_gpu.py > "$out/tests.txt" 2>&1
tail -5 "$out/tests.txt"
part "rates"
timeout 60 "$python" benchmarks/training.py "${rates[@]}" --device "$device" --json > "$out/rates.json"
cat "$out/rates.json"
part "training"
run=$(mktemp -d)/run
"$python" -m cli train-images "${folders[@]}" --classes endless --color --device "$device" "${how[@]}" --out "$run" \
    > "$out/train.txt" 2>&1
tail -12 "$out/train.txt"
cp "$run/metrics.jsonl" "$out/"
part "weights"
"$python" - "$run/network.pt" "$out/network.pt" <<'END'
import sys
import torch
contents = torch.load(sys.argv[1], weights_only=True)
half = lambda value: value.half() if isinstance(value, torch.Tensor) and value.is_floating_point() else value
for network in contents["networks"].values():
    network["weights"] = {key: half(value) for key, value in network["weights"].items()}
contents["about"] = {key: half(value) for key, value in contents["about"].items()}
torch.save(contents, sys.argv[2])
END
split -b 15M "$out/network.pt" "$out/network.pt." && rm "$out/network.pt"
ls -l "$out"
part "done"
