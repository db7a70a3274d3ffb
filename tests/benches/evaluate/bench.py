"""Scores the same predictions by Trainyard, by scikit-learn and by NumPy's bootstrap, in one run.

`python bench.py BINARIES [--rows N] [--classes K] [--replicates R] [--json FILE]`, which `cargo xtask bench evaluate` runs. Every
contestant is a process of its own that reads the same .npz, so that reading counts on both sides and memory is each one's own.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent


def make(path, n_rows, n_classes):
    """In a process of its own: what this one has held would count as memory of those that it starts."""
    command = [sys.executable, __file__, "make", path, str(n_rows), str(n_classes)]
    subprocess.run(command, check=True)


def write(path, n_rows, n_classes, seed=1):
    """Labels, predictions and softmax scores that are right in about 80 % of rows."""
    import numpy

    random = numpy.random.default_rng(seed)
    labels = random.integers(n_classes, size=n_rows)
    scores = numpy.empty((n_rows, n_classes), numpy.float32)
    for start in range(0, n_rows, 100_000):
        rows = slice(start, min(start + 100_000, n_rows))
        logits = random.standard_normal((rows.stop - rows.start, n_classes), numpy.float32)
        logits[numpy.arange(len(logits)), labels[rows]] += 3.0
        logits = numpy.exp(logits - logits.max(axis=1, keepdims=True))
        scores[rows] = logits / logits.sum(axis=1, keepdims=True)
    numpy.savez(path, label=labels, predicted=scores.argmax(axis=1), score=scores)


def measured(command, **options):
    """Wall seconds and peak memory in bytes of a process, and what it printed."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, **options)
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - start
    if status != 0:
        sys.exit(f"{command} failed")
    return wall, usage.ru_maxrss * 1024, output


def median_of(rounds, command, **options):
    runs = [measured(command, **options) for _ in range(rounds)]
    return statistics.median(run[0] for run in runs), max(run[1] for run in runs), runs[0][2]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("binaries", type=pathlib.Path)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--classes", type=int, default=10)
    parser.add_argument("--replicates", type=int, default=1000)
    parser.add_argument("--timed-replicates", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--growth", default="100000,1000000,10000000")
    parser.add_argument("--many-classes", type=int, default=3000)
    parser.add_argument("--json", type=pathlib.Path)
    args = parser.parse_args()
    args.binaries = args.binaries.resolve()
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        figures = compare(args, folder)
        figures["growth"] = growth(args, folder)
    for name in ["metrics_wall_ratio", "bootstrap_wall_ratio", "memory_ratio"]:
        print(f"{name} {figures[name]:.4f}")
    if args.json:
        args.json.write_text(json.dumps(figures, indent=2) + "\n")


def evaluate(args, folder, predictions, rounds):
    command = [args.binaries / "trainyard-evaluate", "--predictions", predictions, "--name", "bench"]
    command += ["--out", folder / "out"]
    return median_of(rounds, command, cwd=folder, stderr=subprocess.DEVNULL)


def compare(args, folder):
    predictions = folder / "predictions.npz"
    make(predictions, args.rows, args.classes)
    print(f"{args.rows} rows x {args.classes} classes, {predictions.stat().st_size / 1e6:.0f} MB")
    ours_wall, ours_memory, _ = evaluate(args, folder, predictions, args.rounds)
    print(f"Trainyard: all metrics with intervals {ours_wall:.2f} s, {ours_memory / 1e6:.0f} MB")
    peer = [sys.executable, HERE / "metrics.py", predictions]
    peer_wall, peer_memory, report = measured(peer)
    print(f"scikit-learn: all metrics, no intervals {peer_wall:.2f} s, {peer_memory / 1e6:.0f} MB")
    check(folder / "out" / "evaluation" / "metrics.json", json.loads(report))
    bootstrap = [args.binaries / "bootstrap", predictions, str(args.replicates)]
    own_wall, _, _ = median_of(args.rounds, bootstrap)
    numpy = [sys.executable, HERE / "bootstrap.py", predictions, str(args.timed_replicates)]
    _, _, report = measured(numpy)
    report = json.loads(report)
    numpy_wall = report["load"] + report["replicate"] * args.replicates
    print(f"Trainyard: {args.replicates} replicates {own_wall:.2f} s")
    print(f"NumPy: {args.replicates} replicates {numpy_wall:.2f} s, from {args.timed_replicates} timed ones")
    return {
        "rows": args.rows,
        "classes": args.classes,
        "trainyard": {"wall_s": ours_wall, "memory_bytes": ours_memory, "bootstrap_wall_s": own_wall},
        "scikit_learn": {"wall_s": peer_wall, "memory_bytes": peer_memory},
        "numpy": {"bootstrap_wall_s": numpy_wall, "timed_replicates": args.timed_replicates},
        "metrics_wall_ratio": ours_wall / peer_wall,
        "bootstrap_wall_ratio": own_wall / numpy_wall,
        "memory_ratio": ours_memory / peer_memory,
    }


def check(path, expected):
    """A benchmark of wrong figures would be worth nothing."""
    found = json.loads(path.read_text())
    for name, value in expected.items():
        if name in found and abs(found[name] - value) > 1e-6 * max(1, abs(value)):
            sys.exit(f"{name}: {found[name]} is not {value}")


def growth(args, folder):
    """Wall and memory of ours by the number of rows, and with thousands of classes."""
    table = []
    cases = [(int(n), args.classes) for n in args.growth.split(",") if n]
    if args.many_classes:
        cases.append((20 * args.many_classes, args.many_classes))
    for n_rows, n_classes in cases:
        path = folder / "growth.npz"
        make(path, n_rows, n_classes)
        wall, memory, _ = evaluate(args, folder, path, 1)
        size = (folder / "out" / "evaluation" / "evaluation.json").stat().st_size
        print(
            f"{n_rows:>9} rows x {n_classes:>4} classes: {wall:6.2f} s, {memory / 1e6:6.0f} MB, "
            f"evaluation.json {size / 1e3:.0f} kB, predictions {path.stat().st_size / 1e6:.0f} MB"
        )
        table.append({"rows": n_rows, "classes": n_classes, "wall_s": wall, "memory_bytes": memory})
    return table


if __name__ == "__main__":
    if sys.argv[1] == "make":
        write(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
    else:
        main()
