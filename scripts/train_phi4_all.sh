#!/usr/bin/env bash
# All five lattices of phi^4 side by side on one accelerator: scripts/train_phi4_all.sh OUT MINUTES
# The small ones take part of the time, and leave the accelerator to the large ones.
set -u
out=$1 minutes=${2:-4}
export KERAS_BACKEND=jax XLA_PYTHON_CLIENT_PREALLOCATE=false PYTHONPATH=$PWD:${PYTHONPATH:-} PYTHONUNBUFFERED=1
export XLA_FLAGS="--xla_gpu_autotune_level=0 ${XLA_FLAGS:-}" # which takes longer than it saves
mkdir -p "$out"
for pair in 14:1 12:1 10:0.75 8:0.5 6:0.35; do
    length=${pair%%:*}
    part=$(python3 -c "print($minutes * ${pair##*:})")
    python3 scripts/train_phi4.py --length "$length" --minutes "$part" --out "$out" \
        >"$out/L$length.log" 2>&1 &
done
wait
tail -n 2 "$out"/L*.log
