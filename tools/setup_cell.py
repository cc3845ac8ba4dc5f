#@title Set-up, the same everywhere: finds or installs the course's code
import importlib.util
import subprocess
import sys
import tempfile
from pathlib import Path

REPO, REF = "", "v0.2.0"  # the course's home on GitHub: written by `make colab REPO=owner/name`
above = [str(folder) for folder in Path().resolve().parents[:3] if (folder / "rmlib/__init__.py").exists()]
sys.path[:0] = above[:1]  # in a clone, its own code comes first
home = getattr(importlib.util.find_spec("rmlib"), "origin", None)
if home and "reward-models-from-first-principles" not in Path(home).read_text(encoding="utf-8"):
    raise ImportError(f"{home} is another project that is also called rmlib. Remove it:\n"
                      "%pip uninstall -y rmlib, restart the kernel, and run this cell again.")
if not home:
    put = "put the wheel that `make wheel` builds beside this notebook (on Colab: upload it), and run this cell again."
    wheels = sorted(Path().glob("reward_models_from_first_principles-*.whl"), key=lambda path: path.stat().st_mtime)
    if not (wheels or REPO):
        raise ImportError(f"The course's code is not here. In a clone of the course run `make lab`; elsewhere\n{put}")
    source, doubt = f"git+https://github.com/{REPO}@{REF}", "Is there a network, is REPO public, and has it REF?"
    if wheels:  # copied, since pip refuses the name that a browser gives to a second download, "... (1).whl"
        source, doubt = f"{tempfile.mkdtemp()}/{wheels[-1].name.partition('-any')[0]}-any.whl", "Is the file whole?"
        Path(source).write_bytes(wheels[-1].read_bytes())
    pip = [sys.executable, "-m", "pip", "install", "--no-deps", "--force-reinstall", source]
    done = subprocess.run(pip, capture_output=True, text=True, start_new_session=True)  # no terminal: git can't ask
    if done.returncode:
        said = [line.strip() for line in done.stderr.splitlines() if "fatal:" in line or "ERROR:" in line]
        raise ImportError(f"Installing {source} failed. {doubt}\nElse {put}\npip says: {[*said, done.stderr][0]}")
    importlib.invalidate_caches()
from rmlib.course.versions import tell_what_is_amiss

tell_what_is_amiss(notebook="0.2.0")
