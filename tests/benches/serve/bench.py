"""trainyard-serve beside FastAPI, MLServer and BentoML: the same model, requests and clients, in one run, alternating. See `--help`.

Called by `cargo xtask bench serve`, which builds the binaries and installs the peers first. Standard library only. What each server is
started with is in `peers/`, a file each; a variant of a peer is a contestant of its own, and for each figure the better one counts.
"""

import argparse
import json
import os
import pathlib
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
EXAMPLE = HERE.parents[2] / "examples" / "mnist"
OURS = "trainyard"
# The article's servers, with which the figures are compared.
COMPARED = ("fastapi_keras", "fastapi_onnxruntime")
N_CORES = os.cpu_count() or 1
CLIENTS = (1, 8, 64)
READY_WITHIN_S = 180
# Scores of one network by several libraries differ by the rounding of their sums.
TOLERANCE = 1e-5


class Lower:
    """A figure of which less is better."""

    better = min


class Higher:
    better = max


FIGURES = {
    "ready_s": Lower,
    "idle_memory_mb": Lower,
    "loaded_memory_mb": Lower,
    "p50_ms": Lower,
    **{f"requests_per_s_{n}": Higher for n in CLIENTS},
}


def run(command, **options):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))} failed:\n{done.stderr.decode(errors='replace')}")
    return done.stdout


def images(n):
    """The first test images, raw, as nested lists `[n, 28, 28, 1]`."""
    import gzip

    with gzip.open(EXAMPLE / "data" / "t10k-images-idx3-ubyte.gz") as file:
        pixels = file.read()[16 : 16 + 784 * n]
    rows = range(0, 784 * n, 28)
    lines = [[[pixel] for pixel in pixels[start : start + 28]] for start in rows]
    return [lines[start : start + 28] for start in range(0, len(lines), 28)]


def bodies(n):
    """The request of `n` images in each form."""
    rows = images(n)
    flat = [pixel for row in rows for line in row for (pixel,) in line]
    tensor = {"name": "input", "shape": [n, 28, 28, 1], "datatype": "FP32", "data": flat}
    compact = lambda value: json.dumps(value, separators=(",", ":")).encode()
    return {"instances": compact({"instances": rows}), "inputs": compact({"inputs": [tensor]})}


def scores(answer):
    """The scores in the answer of any of the servers, flat."""
    if isinstance(answer, dict):
        answer = answer["outputs"][0]["data"] if "outputs" in answer else answer["predictions"]
    flat = []

    def take(value):
        if isinstance(value, list):
            for item in value:
                take(item)
        else:
            flat.append(value)

    take(answer)
    return flat


def chain(binaries, server, scratch):
    """Trains, evaluates, judges and packs the article's model: the model's folder and the size of its image in MB."""
    config = (EXAMPLE / "trainyard.toml").read_text()
    # One epoch: the weights' values do not matter here, their number does.
    for old, new in (
        ('"data/', f'"{EXAMPLE}/data/'),
        ("epochs = 10", "epochs = 1"),
        ("min = 0.98", "min = 0.5"),
        ("max = 0.08", "max = 1.5"),
    ):
        assert old in config, old
        config = config.replace(old, new)
    (scratch / "trainyard.toml").write_text(config)
    environment = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    for stage in ("train", "evaluate", "gate"):
        run([binaries / f"trainyard-{stage}"], cwd=scratch, env=environment)
    run([binaries / "trainyard-publish-image", "--server", server], cwd=scratch, env=environment)
    blobs = (scratch / "trainyard-out" / "image").glob("**/blobs/sha256/*")
    # Of an index with several platforms only one is pulled; there is one here.
    return scratch / "trainyard-out" / "model", sum(blob.stat().st_size for blob in blobs) / 1e6


def tree(pid):
    """The process and all below it."""
    found = [pid]
    for known in found:
        for task in pathlib.Path(f"/proc/{known}/task").glob("*/children"):
            try:
                found.extend(map(int, task.read_text().split()))
            except OSError:
                pass
    return found


def memory_mb(pid):
    """Proportional set size of the process tree: what several processes share counts once."""
    total = 0
    for process in tree(pid):
        try:
            lines = pathlib.Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total * 1024 / 1e6


def free_port():
    """A port with the next two free as well, for servers that take several."""
    while True:
        with socket.socket() as first:
            first.bind(("127.0.0.1", 0))
            port = first.getsockname()[1]
            try:
                for offset in (1, 2):
                    with socket.socket() as other:
                        other.bind(("127.0.0.1", port + offset))
                return port
            except OSError:
                continue


def status(port, path):
    """The status that is answered, by hand: an HTTP client of Python takes longer than our server takes to start."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as stream:
            stream.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
            head = stream.recv(64)
        return int(head.split(b" ")[1])
    except (OSError, IndexError, ValueError):
        return 0


class Server:
    """A contestant that runs, ready after `ready_s` seconds."""

    def __init__(self, settings, variant, places):
        self.port = free_port()
        self.settings = settings
        for offset in ("", "+1", "+2"):
            places = {**places, f"port{offset}": self.port + int(offset or 0)}

        def filled(text):
            for name, value in places.items():
                text = text.replace("{" + name + "}", str(value))
            return text

        self.log = open(places["scratch"] / "log", "wb+")
        variables = {**settings["variables"], **settings["variants"][variant]}
        environment = {
            **{name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ},
            "BENCH": str(HERE),
            "MODEL": str(places["model"]),
            "ONNX_MODEL": str(places["onnx"]),
            "PYTHONDONTWRITEBYTECODE": "",
            **{name: filled(value) for name, value in variables.items()},
        }
        command = [filled(word) for word in settings["command"]]
        started = time.perf_counter()
        self.process = subprocess.Popen(
            command, cwd=HERE, env=environment, stdout=self.log, stderr=self.log, start_new_session=True
        )
        while status(self.port, settings["ready"]) != 200:
            if self.process.poll() is not None or time.perf_counter() - started > READY_WITHIN_S:
                self.stop()
                self.log.seek(0)
                sys.exit(f"{command} is not ready:\n{self.log.read().decode(errors='replace')[-4000:]}")
            time.sleep(0.0005)
        self.ready_s = time.perf_counter() - started

    def ask(self, body):
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{self.settings['path']}", body, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)

    def stop(self):
        """Ends it and its workers, which are those of its own session."""
        family = tree(self.process.pid)
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            pass
        for process in family:
            try:
                os.kill(process, 9)
            except OSError:
                pass
        self.process.wait()


def median_of(counts):
    """Of `{microseconds: count}`, in milliseconds."""
    pairs = sorted((int(us), n) for us, n in counts.items())
    left = sum(n for _, n in pairs) / 2
    for us, n in pairs:
        left -= n
        if left <= 0:
            return us / 1e3
    return None


def measured(settings, variant, places, expected, arguments):
    """One start of one contestant: its figures, and what each load counted."""
    forms = bodies(1)
    body_file = places["scratch"] / "body.json"
    body_file.write_bytes(forms[settings["body"]])
    server = Server(settings, variant, places)
    try:
        found = scores(server.ask(bodies(4)[settings["body"]]))
        if expected is not None:
            difference = max(abs(a - b) for a, b in zip(found, expected, strict=True))
            if difference > TOLERANCE:
                sys.exit(f"the answers differ by {difference}")
        # Each worker has answered, so that none is counted before it has loaded its model.
        for _ in range(4 * N_CORES):
            server.ask(forms[settings["body"]])
        figures = {"ready_s": server.ready_s, "idle_memory_mb": memory_mb(server.process.pid)}
        loads = {}
        for n_clients in CLIENTS:
            command = [arguments.load, f"127.0.0.1:{server.port}", settings["path"], body_file]
            command += ["--clients", str(n_clients), "--seconds", str(arguments.seconds)]
            load = loads[n_clients] = json.loads(run([*command, "--warm-up", str(arguments.warm_up)]))
            if load["lost"] or set(load["statuses"]) != {"200"}:
                sys.exit(f"{n_clients} clients: {load['statuses']} {load['lost']}")
            figures[f"requests_per_s_{n_clients}"] = load["statuses"]["200"] / load["seconds"]
            figures[f"p50_ms_{n_clients}"] = median_of(load["latency_us"]["200"])
        figures["p50_ms"] = figures["p50_ms_1"]
        figures["loaded_memory_mb"] = memory_mb(server.process.pid)
    finally:
        server.stop()
    return found, {"figures": figures, "loads": loads}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("binaries", type=pathlib.Path)
    parser.add_argument("--server", type=pathlib.Path, required=True, help="the server, as it is released")
    parser.add_argument("--load", type=pathlib.Path, required=True, help="the load generator")
    parser.add_argument("--python", action="append", default=[], metavar="NAME=FILE", help="the Python of the peers")
    parser.add_argument("--peers", default="fastapi_keras,fastapi_onnxruntime,mlserver,bentoml")
    parser.add_argument("--rounds", type=int, default=3, help="starts of each, alternating")
    parser.add_argument("--seconds", type=float, default=5, help="of each load")
    parser.add_argument("--warm-up", type=float, default=1, help="seconds of each load before anything counts")
    parser.add_argument("--json", type=pathlib.Path)
    arguments = parser.parse_args()
    arguments.server, arguments.load = arguments.server.resolve(), arguments.load.resolve()
    pythons = {name: pathlib.Path(path).absolute() for name, _, path in (it.partition("=") for it in arguments.python)}
    names = [OURS, *filter(None, arguments.peers.split(","))]
    settings = {name: json.loads((HERE / "peers" / f"{name}.json").read_text()) for name in names}

    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        model, image_mb = chain(arguments.binaries.resolve(), arguments.server, scratch)
        onnx = scratch / "model.onnx"
        if "fastapi" in pythons:
            run([pythons["fastapi"], HERE / "network.py", model, onnx])
        contestants = [(name, variant) for name in names for variant in settings[name]["variants"]]
        rounds, expected = {contestant: [] for contestant in contestants}, None
        for round_idx in range(arguments.rounds):
            # The other way round every second time, so that no one always comes after the same.
            for name, variant in contestants[:: -1 if round_idx % 2 else 1]:
                python = pythons.get(settings[name]["environment_of"])
                places = {
                    "binaries": arguments.server.parent,
                    "python": python,
                    "programs": python and python.parent,
                    "model": model,
                    "onnx": onnx,
                    "cores": N_CORES,
                    "bench": HERE,
                    "scratch": pathlib.Path(tempfile.mkdtemp(dir=scratch)),
                }
                found, result = measured(settings[name], variant, places, expected, arguments)
                expected = expected or found
                rounds[name, variant].append(result)
                shown = {key: round(value, 3) for key, value in result["figures"].items()}
                print(f"round {round_idx + 1} {name} {variant} {shown}", file=sys.stderr, flush=True)

    median = lambda results, figure: statistics.median(result["figures"][figure] for result in results)
    medians = {it: {figure: median(results, figure) for figure in FIGURES} for it, results in rounds.items()}
    # Of a peer's variants the better one, for each figure by itself.
    best = {
        name: {
            figure: direction.better(medians[it][figure] for it in contestants if it[0] == name)
            for figure, direction in FIGURES.items()
        }
        for name in names
    }
    ours = best[OURS]
    ratio = lambda figure: {name: ours[figure] / best[name][figure] for name in names if name != OURS}
    result = {
        "ready_ratio": ratio("ready_s"),
        "idle_memory_ratio": ratio("idle_memory_mb"),
        "loaded_memory_ratio": ratio("loaded_memory_mb"),
        "p50_ratio": ratio("p50_ms"),
        "throughput_8_ratio": ratio("requests_per_s_8"),
        "throughput_64_ratio": ratio("requests_per_s_64"),
        "throughput_64_over_8": ours["requests_per_s_64"] / ours["requests_per_s_8"],
        "image_mb": image_mb,
        "n_cores": N_CORES,
        "arguments": {key: str(value) for key, value in vars(arguments).items()},
        "best": best,
        "medians": {f"{name} {variant}": figures for (name, variant), figures in medians.items()},
        "settings": settings,
        "rounds": {f"{name} {variant}": results for (name, variant), results in rounds.items()},
    }
    print("| | ready, s | idle, MB | after load, MB | p50 of 1 client, ms | requests/s, 8 clients | 64 clients |")
    print("| :-- | --: | --: | --: | --: | --: | --: |")
    columns = ("ready_s", "idle_memory_mb", "loaded_memory_mb", "p50_ms", "requests_per_s_8", "requests_per_s_64")
    digits = (3, 1, 1, 3, 0, 0)
    for name, figures in result["medians"].items():
        cells = [f"{figures[column]:,.{n}f}" for column, n in zip(columns, digits)]
        print(f"| {name} | {' | '.join(cells)} |")
    keys = ("ready_ratio", "idle_memory_ratio", "loaded_memory_ratio", "p50_ratio", "throughput_8_ratio", "throughput_64_ratio")
    for name in names[1:]:
        print(f"| against {name} | {' | '.join(f'{result[key][name]:.4g}' for key in keys)} |")
    print(f"\nRequests a second of 64 clients over those of 8: {result['throughput_64_over_8']:.3f}. Image: {image_mb:.2f} MB.")
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
