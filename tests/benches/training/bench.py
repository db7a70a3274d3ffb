"""Trainyard beside Keras and PyTorch on the article's example, in one run, alternating. See `--help`.

Called by `cargo xtask bench training`, which builds the binaries and installs the peers first. Standard library only.
"""

import argparse
import json
import os
import pathlib
import statistics
import struct
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[2]
EXAMPLE = ROOT / "examples" / "mnist"


def measured(command, **options):
    """Runs a command to success: wall and CPU seconds, peak memory in MB, standard output."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)
    output, errors = process.stdout.read(), process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - start
    if status != 0:
        sys.exit(f"{command} failed:\n{errors.decode()}")
    # Linux counts kilobytes.
    return {"wall_s": wall, "cpu_s": usage.ru_utime + usage.ru_stime, "memory_mb": usage.ru_maxrss / 1000}, output


def trainyard(binaries, n_epochs, seed):
    """Train, then evaluate: from the start of the first process to the end of the second."""
    with tempfile.TemporaryDirectory() as out:
        common = ["--config", EXAMPLE / "trainyard.toml", "--out", out]
        train, _ = measured([binaries / "trainyard-train", *common, "--epochs", str(n_epochs), "--seed", str(seed)])
        evaluate, _ = measured([binaries / "trainyard-evaluate", *common])
        run = json.loads((pathlib.Path(out) / "model" / "run.json").read_text())
        metrics = json.loads((pathlib.Path(out) / "evaluation" / "metrics.json").read_text())
    return {
        "epoch_s": statistics.median(run["epoch_s"]),
        "total_s": train["wall_s"] + evaluate["wall_s"],
        "cpu_s": train["cpu_s"] + evaluate["cpu_s"],
        "memory_mb": max(train["memory_mb"], evaluate["memory_mb"]),
        "accuracy": metrics["accuracy"],
    }


def peer(script, n_epochs, seed):
    environment = {key: value for key, value in os.environ.items() if not key.startswith("OPENBLAS")}
    cost, output = measured(
        [sys.executable, HERE / script, EXAMPLE / "data", str(n_epochs), str(seed)], env=environment
    )
    said = json.loads(output.decode().strip().splitlines()[-1])
    return {
        "epoch_s": statistics.median(said["epoch_s"]),
        "total_s": cost["wall_s"],
        "cpu_s": cost["cpu_s"],
        "memory_mb": cost["memory_mb"],
        "accuracy": said["accuracy"],
    }


def growth(binaries, sizes):
    """One epoch of the same network over more and more random rows: seconds and memory, with one thread and with two."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        config = (EXAMPLE / "trainyard.toml").read_text().replace(".gz", "")
        for n_rows in sizes:
            (folder / "data").mkdir(exist_ok=True)
            for name, n in (("train", n_rows), ("t10k", 100)):
                with open(folder / "data" / f"{name}-images-idx3-ubyte", "wb") as file:
                    file.write(struct.pack(">IIII", 0x803, n, 28, 28))
                    for start in range(0, n, 10_000):
                        file.write(os.urandom(784 * min(10_000, n - start)))
                with open(folder / "data" / f"{name}-labels-idx1-ubyte", "wb") as file:
                    file.write(struct.pack(">II", 0x801, n) + bytes(i % 10 for i in range(n)))
            (folder / "trainyard.toml").write_text(config)
            row = {"n_rows": n_rows}
            for threads in ("1", "2"):
                command = [binaries / "trainyard-train", "--config", folder / "trainyard.toml", "--out", folder / "out"]
                cost, _ = measured([*command, "--epochs", "1", "--threads", threads, "--force"])
                run = json.loads((folder / "out" / "model" / "run.json").read_text())
                row[f"epoch_s_{threads}"] = run["epoch_s"][0]
                row["memory_mb"] = cost["memory_mb"]
            rows.append(row)
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("binaries", type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=3, help="runs of each, alternating; each with a seed of its own")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--peers", default="keras,torch")
    parser.add_argument("--sizes", default="10000,100000,1000000", help="rows for the growth table; empty for none")
    parser.add_argument("--json", type=pathlib.Path)
    arguments = parser.parse_args()

    contestants = {"trainyard": lambda seed: trainyard(arguments.binaries, arguments.epochs, seed)}
    for name in filter(None, arguments.peers.split(",")):
        contestants[name] = lambda seed, name=name: peer(f"peer_{name}.py", arguments.epochs, seed)
    runs = {name: [] for name in contestants}
    for seed in range(1, arguments.rounds + 1):
        for name, run in contestants.items():
            runs[name].append(run(seed))
            print(f"round {seed} {name:10} {runs[name][-1]}", file=sys.stderr, flush=True)

    columns = ["epoch_s", "total_s", "cpu_s", "memory_mb", "accuracy"]
    medians = {name: {c: statistics.median(r[c] for r in rs) for c in columns} for name, rs in runs.items()}
    ours = medians["trainyard"]
    _, output = measured([arguments.binaries / "fma-peak"])
    peak = float(output)
    # 4.65 MFLOP a row: docs/benchmarks/training.md works it out.
    n_threads = os.cpu_count() or 1
    share = 60_000 * 4.65e-3 / ours["epoch_s"] / (peak * n_threads)
    result = {
        "epochs": arguments.epochs,
        "rounds": arguments.rounds,
        "medians": medians,
        "runs": runs,
        "fma_peak_gflops_per_core": peak,
        "share_of_fma_peak": share,
    }
    names = {"epoch_wall_ratio": "epoch_s", "total_wall_ratio": "total_s", "peak_memory_ratio": "memory_mb", "cpu_ratio": "cpu_s"}
    for key, column in names.items():
        result[key] = {name: ours[column] / medians[name][column] for name in medians if name != "trainyard"}
    result["accuracy_difference"] = {}
    for name in medians:
        if name != "trainyard":
            pairs = [a["accuracy"] - b["accuracy"] for a, b in zip(runs["trainyard"], runs[name])]
            error = statistics.stdev(pairs) / len(pairs) ** 0.5 if len(pairs) > 1 else None
            result["accuracy_difference"][name] = {"mean": statistics.mean(pairs), "standard_error": error, "n": len(pairs)}
    sizes = [int(size) for size in arguments.sizes.split(",") if size]
    result["growth"] = growth(arguments.binaries, sizes)

    print(f"| | epoch, s | start to accuracy, s | CPU, s | peak memory, MB | test accuracy |\n| :-- | --: | --: | --: | --: | --: |")
    for name, row in medians.items():
        print(f"| {name} | {row['epoch_s']:.2f} | {row['total_s']:.1f} | {row['cpu_s']:.1f} | {row['memory_mb']:.0f} | {row['accuracy']:.4f} |")
    for name in medians:
        if name != "trainyard":
            ratios = [f"{result[key][name]:.3f}" for key in ("epoch_wall_ratio", "total_wall_ratio", "cpu_ratio", "peak_memory_ratio")]
            difference = result["accuracy_difference"][name]["mean"]
            print(f"| against {name} | {' | '.join(ratios)} | {difference:+.4f} |")
    print(f"\nFMA peak {peak:.1f} GFLOP/s a core; a training epoch takes the time of {100 * share:.0f} % of {n_threads} cores' peak, if every multiplication were done.")
    if result["growth"]:
        print("\n| rows | epoch, 1 thread, s | epoch, 2 threads, s | peak memory, MB |\n| --: | --: | --: | --: |")
        for row in result["growth"]:
            print(f"| {row['n_rows']:,} | {row['epoch_s_1']:.2f} | {row['epoch_s_2']:.2f} | {row['memory_mb']:.0f} |")
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=2) + "\n")


main()
