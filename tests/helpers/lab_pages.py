"""A real JupyterLab and a notebook open in it, for the tests that use the course as a reader does."""

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from places import ROOT
from playwright.sync_api import Locator, Page

START_SECONDS, RUN_SECONDS, REDRAW_SECONDS = 120, 900, 30  # 06 trains for minutes, here beside a browser
NOTEBOOK = "window.jupyterapp.shell.currentWidget"
HOMES = ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "JUPYTERLAB_WORKSPACES_DIR", "IPYTHONDIR")
PLUGINS = {
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    "notebook-extension/tracker": {"windowingMode": "none"},  # every cell is on the page, also those far below
}


@contextmanager
def server(folder: Path) -> Iterator[str]:
    """JupyterLab from this Python, with all its files in `folder` and rmlib beside folder/notebooks; its address."""
    (folder / "rmlib").symlink_to(ROOT / "rmlib")
    for plugin, settings in PLUGINS.items():
        path = folder / "settings/@jupyterlab" / f"{plugin}.jupyterlab-settings"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(settings))
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("RMLIB_", "JUPYTER"))}
    homes = {name: str(folder / name.lower()) for name in HOMES}
    homes["JUPYTERLAB_SETTINGS_DIR"] = str(folder / "settings")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    token = secrets.token_hex(16)
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", f"--port={port}",
               "--ServerApp.port_retries=0", f"--IdentityProvider.token={token}", f"--ServerApp.root_dir={folder}",
               "--LabApp.expose_app_in_browser=True"]
    with (folder / "lab.log").open("w") as log:
        lab = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log,
                               env=kept | homes | {"HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": ""})
    try:
        wait_for(f"http://127.0.0.1:{port}/api?token={token}", folder / "lab.log")
        yield f"http://127.0.0.1:{port}/lab/tree/notebooks/{{}}?reset&token={token}"
    finally:
        stop(lab)


def stop(process: subprocess.Popen, patience: float = 30) -> None:
    """Ends it: asked to, and killed where it doesn't within `patience` seconds."""
    process.terminate()
    try:
        process.wait(timeout=patience)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def wait_for(address: str, log: Path) -> None:
    """Until the server answers."""
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        try:
            urllib.request.urlopen(address, timeout=10).close()
            return
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.5)
    raise TimeoutError(log.read_text())


def do(page: Page, command: str, **arguments: object) -> None:
    """Executes one of JupyterLab's commands, as its menus do."""
    page.evaluate("([id, given]) => { jupyterapp.commands.execute(id, given); }", [command, arguments])


def open_notebook(page: Page, address: str) -> None:
    """Opens it and waits until it is read and its kernel is there."""
    page.goto(address)
    page.wait_for_function(f"window.jupyterapp && {NOTEBOOK}?.context?.isReady", timeout=START_SECONDS * 1000)
    page.evaluate("jupyterapp.shell.collapseLeft()")
    wait_until_idle(page, START_SECONDS)


def wait_until_idle(page: Page, seconds: float) -> None:
    """Until the notebook's kernel has nothing to do."""
    page.wait_for_function(f"{NOTEBOOK}.sessionContext.session?.kernel?.status === 'idle'", timeout=seconds * 1000,
                           polling=200)


def run_all(page: Page) -> None:
    """Clears what is stored and runs every cell: until each has its number, or one stopped with an error."""
    do(page, "editmenu:clear-all")
    page.wait_for_function("!document.querySelector('.jp-NotebookPanel .jp-OutputArea-child')")
    do(page, "notebook:run-all-cells")
    page.wait_for_function(
        f"""{NOTEBOOK}.content.widgets.every((cell) => cell.model.type !== "code" || cell.model.executionCount)
            || document.querySelector(".jp-NotebookPanel [data-mime-type$='jupyter.error']")""",
        timeout=RUN_SECONDS * 1000,
        polling=500,  # ms; by default at every frame, which takes the time that the kernel needs
    )
    wait_until_idle(page, RUN_SECONDS)


def save(page: Page) -> None:
    """Saves the notebook, and waits until what is stored is what the page has."""
    do(page, "docmanager:save")
    page.wait_for_function(f"!{NOTEBOOK}.context.model.dirty", timeout=START_SECONDS * 1000)


def close(page: Page) -> None:
    """Ends all kernels."""
    page.evaluate("jupyterapp.serviceManager.sessions.shutdownAll()")


def photograph(page: Page, folder: Path) -> None:
    """The whole notebook in pictures of one window each."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    notebook = page.locator(".jp-NotebookPanel .jp-WindowedPanel-outer").first
    top, number = 0, 0
    while True:
        height, window = notebook.evaluate(
            "(e, top) => { e.scrollTop = top; return [e.scrollHeight, e.clientHeight]; }", top
        )
        page.wait_for_timeout(200)
        page.screenshot(path=folder / f"{number:02d}.png")
        top, number = top + window - 60, number + 1
        if top >= height - 60:
            return


def wrong_outputs(page: Page) -> list[str]:
    """What cells wrote to standard error, and their errors."""
    kinds = ".jp-OutputArea-output:is([data-mime-type$='jupyter.stderr'], [data-mime-type$='jupyter.error'])"
    return [text.strip() for text in page.locator(f".jp-CodeCell {kinds}").all_inner_texts()]


def dead_sliders(page: Page) -> list[str]:
    """Moves every slider by keyboard; a line for each that left its picture or its numbers as they were."""
    found = []
    for box in page.locator(".rmlib-explore").all():
        for row in box.locator(".widget-hslider").all():
            label, before = row.locator(".widget-label").inner_text(), seen(box)
            handle = row.locator(".noUi-handle")
            at_end = handle.get_attribute("aria-valuenow") == handle.get_attribute("aria-valuemax")
            handle.focus()
            handle.press("PageDown" if at_end else "PageUp")
            after, until = seen(box), time.monotonic() + REDRAW_SECONDS
            while before == after and time.monotonic() < until:
                page.wait_for_timeout(100)
                after = seen(box)
            found += [f"{label}: the {what} did not change" for what, old, new in
                      zip(("picture", "numbers"), before, after, strict=True) if old == new]
            found += [f"{label}: {box.locator('pre').inner_text()}"] if box.locator("pre").count() else []
    return found


def seen(box: Locator) -> tuple[str | None, str]:
    """The picture and the numbers of an explorer; both at once, since they are drawn together."""
    return tuple(box.evaluate(
        "e => [e.querySelector('img')?.src, [...e.querySelectorAll('p')].map((p) => p.innerText).join(' ')]"
    ))


NOTEBOOK_TEXTS = """.jp-NotebookPanel :is(.jp-RenderedHTMLCommon, .rmlib-explore, .rmlib-label)
  :is(p, li, td, th, h1, h2, h3, summary, em, button, kbd, .widget-label, .widget-readout),
  .jp-OutputArea-output > pre"""
FAINT = """([texts, least]) => {
  const parts = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const light = (colour) => {
    const [r, g, b] = parts(colour).slice(0, 3).map((c) => c / 255).map(
      (c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (e) => {
    for (; e; e = e.parentElement) {
      const colour = getComputedStyle(e).backgroundColor;
      if ((parts(colour)[3] ?? 1) > 0.5) return colour;
    }
    return "rgb(255, 255, 255)";
  };
  return [...document.querySelectorAll(texts)].filter((e) => e.offsetParent && e.innerText.trim()).map((e) => {
    const [a, b] = [light(getComputedStyle(e).color), light(behind(e))];
    return [(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), e.innerText.slice(0, 60)];
  }).filter(([contrast]) => contrast < least).map(([contrast, text]) => `${contrast.toFixed(1)}: ${text}`);
}"""


def faint_texts(page: Page, texts: str = NOTEBOOK_TEXTS, least: float = 4.5) -> list[str]:
    """Those of `texts`, a selector, whose contrast to what is behind them is under `least` (WCAG 2.2, 1.4.3)."""
    return page.evaluate(FAINT, [texts, least])


def set_theme(page: Page, name: str) -> None:
    """JupyterLab Light or JupyterLab Dark."""
    do(page, "apputils:change-theme", theme=name)
    page.wait_for_selector(f"body[data-jp-theme-name='{name}']", state="attached")
    page.wait_for_timeout(1000)  # the style sheet arrives a moment after the name
