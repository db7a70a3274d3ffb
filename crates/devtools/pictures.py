"""Makes the pictures of the documentation from the demo's own output.

Run `cargo xtask demo` first, then `python crates/devtools/pictures.py BINARIES MERMAID`: the folder of the stages' binaries, and
`mermaid.min.js` of npm's package `mermaid`. Needs `pip install cmarkgfm pillow`, which is GitHub's own Markdown, and Chromium.
"""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

from cmarkgfm import github_flavored_markdown_to_html
from cmarkgfm.cmark import Options
from PIL import Image, ImageChops

ROOT = pathlib.Path(__file__).resolve().parents[2]
OUT = ROOT / "trainyard-out"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

# The colours and sizes in which GitHub shows a comment.
STYLE = """
body { margin: 0; padding: 24px; background: #fff; color: #1f2328; font: 14px/1.5 -apple-system, 'Segoe UI', 'Noto Sans',
  Helvetica, Arial, 'DejaVu Sans', 'Noto Color Emoji', sans-serif; width: 880px; }
.box { border: 1px solid #d1d9e0; border-radius: 6px; }
.head { background: #f6f8fa; border-bottom: 1px solid #d1d9e0; padding: 8px 16px; color: #59636e; border-radius: 6px 6px 0 0; }
.body { padding: 16px; } h3 { margin: 0 0 16px; font-size: 1.25em; } p { margin: 0 0 16px; }
table { border-collapse: collapse; margin-bottom: 16px; font-variant-numeric: tabular-nums; }
th, td { border: 1px solid #d1d9e0; padding: 6px 13px; } tr:nth-child(2n) { background: #f6f8fa; }
code { background: #818b981f; padding: .2em .4em; border-radius: 6px; font-size: 85%; }
blockquote { margin: 0 0 16px; padding: 0 1em; color: #59636e; border-left: .25em solid #d1d9e0; } blockquote p { margin: 0; }
summary { cursor: default; margin-bottom: 8px; } pre.mermaid svg { max-width: 560px; }
"""


def screenshot(page: pathlib.Path, picture: pathlib.Path, width: int, height: int) -> None:
    with tempfile.TemporaryDirectory() as profile:
        subprocess.run(
            [
                CHROMIUM,
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--hide-scrollbars",
                "--no-first-run",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
                "--allow-file-access-from-files",
                "--virtual-time-budget=20000",
                f"--user-data-dir={profile}",
                f"--window-size={width},{height}",
                f"--screenshot={picture}",
                page.as_uri(),
            ],
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
    image = Image.open(picture).convert("RGB")
    ground = Image.new("RGB", image.size, image.getpixel((0, 0)))
    left, top, right, bottom = ImageChops.difference(image, ground).getbbox()
    image.crop((0, 0, image.width, min(image.height, bottom + 24))).quantize(128).save(picture, optimize=True)


def compared(binaries: pathlib.Path, folder: pathlib.Path) -> str:
    """The report of the demo's model beside one that was trained for fewer epochs, as a pull request would show it."""
    config = ROOT / "examples" / "mnist" / "trainyard.toml"
    shutil.copytree(OUT, folder / "now")
    # No trace of the CI system that may run this.
    env = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), "GITHUB_ACTIONS": ""}

    def run(stage: str, *arguments: object) -> None:
        command = [binaries / f"trainyard-{stage}", "--config", config, *arguments]
        subprocess.run(command, check=True, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    run("train", "--epochs", "4", "--out", folder / "before")
    run("evaluate", "--out", folder / "before")
    # Where it lay shows in the report.
    (folder / "main").mkdir()
    shutil.copy(folder / "before" / "evaluation" / "evaluation.json", folder / "main" / "evaluation.json")
    gate = [binaries / "trainyard-gate", "--config", config, "--out", folder / "now", "--baseline", "main/evaluation.json"]
    subprocess.run(gate, check=True, env=env, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return (folder / "now" / "verdict" / "comment.md").read_text()


def comment(markdown: str, mermaid: pathlib.Path, picture: str, is_open: bool) -> None:
    body = github_flavored_markdown_to_html(markdown, options=Options.CMARK_OPT_UNSAFE)
    body = body.replace('<pre lang="mermaid"><code>', '<pre class="mermaid">')
    if is_open:
        body = body.replace("<details>", "<details open>")
    script = f"<script src='{mermaid.resolve().as_uri()}'></script><script>mermaid.initialize({{ startOnLoad: true }})</script>"
    html = f"<!doctype html><meta charset=utf-8><style>{STYLE}</style><div class=box><div class=head><b>github-actions</b> · bot</div><div class=body>{body}</div></div>{script}"
    with tempfile.TemporaryDirectory() as folder:
        page = pathlib.Path(folder) / "comment.html"
        page.write_text(html)
        screenshot(page, ROOT / "docs" / "images" / picture, 930, 2400)


if __name__ == "__main__":
    binaries, mermaid = map(pathlib.Path, sys.argv[1:])
    with tempfile.TemporaryDirectory() as folder:
        markdown = compared(binaries.resolve(), pathlib.Path(folder))
    comment(markdown, mermaid, "report.png", is_open=False)
    comment(markdown, mermaid, "report-details.png", is_open=True)
    screenshot(OUT / "evaluation" / "report.html", ROOT / "docs" / "images" / "evaluation.png", 1000, 2200)
