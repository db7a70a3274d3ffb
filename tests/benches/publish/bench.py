"""Image built and pushed: trainyard-publish-image beside buildah and umoci + skopeo, same files, same registry, one run.

    bench.py BINARIES [--sizes 50,1000] [--rounds 3] [--json FILE]

Each contestant gets the model and the server as files, and ends with the image in a docker-registry on this machine, by
plain HTTP, whose repository is new in each round. Needs docker-registry, buildah, umoci and skopeo on the PATH.
"""

import argparse
import json
import os
import shutil
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

CONFIG = """\
[model]
name = "bench"
input_shape = [28, 28, 1]
layers = [
  {{ type = "Flatten" }},
  {{ type = "Dense", units = {units}, activation = "relu" }},
  {{ type = "Dense", units = 10, activation = "softmax" }},
]

[data]
format = "idx"
classes = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]

[data.train]
features = "images"
labels = "labels"

[data.test]
features = "images"
labels = "labels"

[train]
epochs = 1
batch_size = 64

[train.optimizer]
type = "sgd"
learning_rate = 0.0001

[[gate.rules]]
metric = "accuracy"
min = 0.0

[image]
smoke_test_rows = {rows}
"""

N_ROWS = 64


class Measured:
    """Wall and CPU seconds and the largest resident memory of one command, with all it starts."""

    def __init__(self, commands, env=None, cwd=None):
        self.wall = self.cpu = self.peak_mb = 0.0
        for command in commands:
            started = time.monotonic()
            process = subprocess.Popen(command, env=env, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            said = []
            reader = threading.Thread(target=lambda: said.append(process.stdout.read()))
            reader.start()
            _, status, usage = os.wait4(process.pid, 0)
            self.wall += time.monotonic() - started
            reader.join()
            if status != 0:
                sys.exit(f"{' '.join(map(str, command))} failed:\n{said[0].decode(errors='replace')}")
            self.cpu += usage.ru_utime + usage.ru_stime
            self.peak_mb = max(self.peak_mb, usage.ru_maxrss / 1024)
            self.said = said[0].decode(errors="replace")


class Registry:
    """A docker-registry of this run alone, whose requests are counted."""

    def __init__(self, folder):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.address = "127.0.0.1:%d" % probe.getsockname()[1]
        self.folder = folder
        config = {
            "version": 0.1,
            "log": {"level": "error"},
            "storage": {"filesystem": {"rootdirectory": str(folder / "data")}},
            "http": {"addr": self.address},
        }
        (folder / "config.yml").write_text(json.dumps(config))
        self.log = open(folder / "log", "wb")
        self.process = subprocess.Popen(
            ["docker-registry", "serve", str(folder / "config.yml")], stdout=self.log, stderr=subprocess.STDOUT
        )
        deadline = time.monotonic() + 30
        while True:
            try:
                socket.create_connection(("127.0.0.1", int(self.address.split(":")[1]))).close()
                return
            except OSError:
                if time.monotonic() > deadline:
                    sys.exit("docker-registry does not answer")
                time.sleep(0.02)

    def requests(self):
        """The lines of its access log."""
        lines = (self.folder / "log").read_text(errors="replace").splitlines()
        return [line for line in lines if ' HTTP/1.1" ' in line]

    def stop(self):
        self.process.kill()
        self.process.wait()


def need(*programs):
    for program in programs:
        if shutil.which(program) is None:
            sys.exit(f"`{program}` is not installed: apt-get install {program}")


def project(folder, binaries, megabytes, smoke_test_rows):
    """A model of about this size that passed its gate, made by the stages themselves."""
    units = round(megabytes * 1e6 / 4 / (784 + 1 + 10))
    (folder / "trainyard.toml").write_text(CONFIG.format(units=units, rows=smoke_test_rows))
    pixels = bytes((row * 31 + at * 7) % 251 for row in range(N_ROWS) for at in range(784))
    (folder / "images").write_bytes(struct.pack(">4I", 0x803, N_ROWS, 28, 28) + pixels)
    (folder / "labels").write_bytes(struct.pack(">2I", 0x801, N_ROWS) + bytes(row % 10 for row in range(N_ROWS)))
    for stage in ("train", "evaluate", "gate"):
        Measured([[binaries / f"trainyard-{stage}"]], cwd=folder, env=environment())


def environment(**more):
    """Without what a CI system says of itself."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
    return {**kept, "SOURCE_DATE_EPOCH": "1700000000", **more}


def ours(folder, binaries, to, tag="v1"):
    command = [binaries / "trainyard-publish-image", "--push", to, "--tag", tag]
    return Measured([command], cwd=folder, env=environment(XDG_STATE_HOME=str(folder / "state")))


def buildah(folder, binaries, to, driver):
    with tempfile.TemporaryDirectory(dir=folder.parent) as storage:
        base = ["buildah", "--root", f"{storage}/root", "--runroot", f"{storage}/run", "--storage-driver", driver]
        name = "bench-working-container"
        model = folder / "trainyard-out/model"
        commands = [
            [*base, "from", "--name", name, "scratch"],
            [*base, "copy", "--chmod", "755", name, str(binaries / "trainyard-serve"), "/usr/local/bin/trainyard-serve"],
            [*base, "copy", name, str(model / "model.json"), str(model / "weights.safetensors"), "/models/"],
            [*base, "config", "--entrypoint", '["/usr/local/bin/trainyard-serve","--model","/models"]', "--user", "65532:65532", "--port", "8080", name],
            [*base, "commit", "--quiet", name, "bench"],
            [*base, "push", "--quiet", "--tls-verify=false", "bench", f"docker://{to}:v1"],
        ]
        return Measured(commands, env=environment(BUILDAH_ISOLATION="chroot"))


def umoci(folder, binaries, to):
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        layout = f"{scratch}/layout"
        image = f"{layout}:v1"
        model = folder / "trainyard-out/model"
        packed = Path(scratch) / "models"
        packed.mkdir()
        for name in ("model.json", "weights.safetensors"):
            os.link(model / name, packed / name)
        commands = [
            ["umoci", "init", "--layout", layout],
            ["umoci", "new", "--image", image],
            ["umoci", "insert", "--image", image, str(binaries / "trainyard-serve"), "/usr/local/bin/trainyard-serve"],
            ["umoci", "insert", "--image", image, str(packed), "/models"],
            ["umoci", "config", "--image", image, "--config.entrypoint", "/usr/local/bin/trainyard-serve", "--config.user", "65532:65532"],
            ["skopeo", "copy", "--quiet", "--dest-tls-verify=false", f"oci:{image}", f"docker://{to}:v1"],
        ]
        return Measured(commands, env=environment())


def median(values):
    return statistics.median(values)


def one_size(megabytes, rounds, binaries, scratch):
    print(f"\n{megabytes} MB: training a model of that size", flush=True)
    folder = scratch / f"project-{megabytes}"
    folder.mkdir()
    project(folder, binaries, megabytes, smoke_test_rows=32)
    contestants = {
        "trainyard": lambda to: ours(folder, binaries, to),
        "buildah overlay": lambda to: buildah(folder, binaries, to, "overlay"),
        "buildah vfs": lambda to: buildah(folder, binaries, to, "vfs"),
        "umoci + skopeo": lambda to: umoci(folder, binaries, to),
    }
    walls = {name: [] for name in contestants}
    cpus = {name: [] for name in contestants}
    for round_idx in range(rounds):
        registry_folder = scratch / f"registry-{megabytes}-{round_idx}"
        registry_folder.mkdir()
        registry = Registry(registry_folder)
        for name, run in contestants.items():
            measured = run(f"{registry.address}/{name.split()[0]}-{name.split()[-1]}/m")
            walls[name].append(measured.wall)
            cpus[name].append(measured.cpu)
            print(f"  round {round_idx + 1}: {name:16} {measured.wall:7.2f} s wall {measured.cpu:7.2f} s CPU", flush=True)
        registry.stop()
        shutil.rmtree(registry_folder)
    figures = {name: {"wall_s": median(walls[name]), "cpu_s": median(cpus[name])} for name in contestants}
    better = min(("buildah overlay", "buildah vfs"), key=lambda name: figures[name]["wall_s"])
    us = figures["trainyard"]
    ratio = lambda peer, key: us[key] / figures[peer][key]
    result = {
        "raw": {"wall_s": walls, "cpu_s": cpus},
        "wall_ratio": {"buildah": ratio(better, "wall_s"), "umoci_skopeo": ratio("umoci + skopeo", "wall_s")},
        "cpu_ratio": {"buildah": ratio(better, "cpu_s"), "umoci_skopeo": ratio("umoci + skopeo", "cpu_s")},
    }

    # Without the smoke test's server, the memory is the stage's own.
    config = folder / "trainyard.toml"
    config.write_text(config.read_text().replace("smoke_test_rows = 32", "smoke_test_rows = 0"))
    registry_folder = scratch / f"registry-{megabytes}-memory"
    registry_folder.mkdir()
    registry = Registry(registry_folder)
    to = f"{registry.address}/memory/m"
    result["peak_memory_mb"] = ours(folder, binaries, to, "1.0.0").peak_mb
    unchanged = []
    for _ in range(max(rounds, 5)):
        before = len(registry.requests())
        said = ours(folder, binaries, to, "1.0.0").said
        time.sleep(0.05)
        after = registry.requests()[before:]
        if any("/blobs/uploads/" in line for line in after):
            sys.exit("an unchanged push sent a blob:\n" + "\n".join(after))
        result["unchanged_requests"] = len(after)
        unchanged.append(push_ms(said))
    result["unchanged_push_ms"] = median(unchanged)
    registry.stop()
    shutil.rmtree(registry_folder)
    shutil.rmtree(folder)
    return result


def push_ms(said):
    """The time from the finished layout to the last tag, by the stage's own log."""
    for line in said.splitlines():
        if "pushed `" in line and " in " in line:
            return float(line.rsplit(" in ", 1)[1].split()[0])
    sys.exit(f"the log does not say how long the push took:\n{said}")


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("binaries", type=Path)
    arguments.add_argument("--sizes", default="50,1000")
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--json", type=Path)
    arguments = arguments.parse_args()
    need("docker-registry", "buildah", "umoci", "skopeo")
    binaries = arguments.binaries.resolve()
    sizes = [int(size) for size in arguments.sizes.split(",")]
    with tempfile.TemporaryDirectory() as scratch:
        results = {size: one_size(size, arguments.rounds, binaries, Path(scratch)) for size in sizes}
    worst = lambda *keys: max(results[size][keys[0]][keys[1]] for size in sizes)
    figures = {
        "wall_ratio": {peer: worst("wall_ratio", peer) for peer in ("buildah", "umoci_skopeo")},
        "cpu_ratio": {peer: worst("cpu_ratio", peer) for peer in ("buildah", "umoci_skopeo")},
        "peak_memory_mb": max(result["peak_memory_mb"] for result in results.values()),
        "unchanged_push_ms": results[sizes[0]]["unchanged_push_ms"],
        "unchanged_requests": results[sizes[0]]["unchanged_requests"],
        "sizes": {str(size): result for size, result in results.items()},
    }
    print("\n| figure | value |\n| :-- | --: |")
    for name in ("wall_ratio", "cpu_ratio"):
        for peer, value in figures[name].items():
            print(f"| {name} to {peer} | {value:.3f} |")
    for name in ("peak_memory_mb", "unchanged_push_ms", "unchanged_requests"):
        print(f"| {name} | {figures[name]:.1f} |")
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
