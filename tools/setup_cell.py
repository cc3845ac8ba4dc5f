# Set-up, the same in every notebook: does nothing where the course's code is at hand, and on Colab fetches it.
import importlib.util
import subprocess
import sys
from pathlib import Path

REPO, REF = "", "main"  # where the course lives on GitHub: written by `make colab REPO=owner/name`
if Path("../rmlib/__init__.py").exists():
    sys.path.insert(0, str(Path("..").resolve()))  # in a clone, its own code comes first
spec = importlib.util.find_spec("rmlib")
home = spec and spec.origin
if home and "reward-models-from-first-principles" not in Path(home).read_text(encoding="utf-8"):
    raise ImportError(f"{home} is another project that is also called rmlib. Remove it:\n"
                      "%pip uninstall -y rmlib, restart the kernel, and run this cell again.")
if not home:
    on_colab = importlib.util.find_spec("google") and importlib.util.find_spec("google.colab")
    wheels = sorted(map(str, Path().glob("reward_models_from_first_principles-*.whl")))
    if not (on_colab and (wheels or REPO)):
        raise ImportError("The course's code is not here. On your own machine: clone the course, then `make lab`.\n"
                          "On Colab: upload the wheel that `make wheel` builds or set REPO above; run this cell again.")
    source = wheels[-1] if wheels else f"git+https://github.com/{REPO}@{REF}"
    pip = [sys.executable, "-m", "pip", "install", "--no-deps", "--force-reinstall"]
    done = subprocess.run([*pip, source], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr)
    importlib.invalidate_caches()
    from rmlib.course.versions import tell_old
    tell_old()  # Colab's own torch, numpy and transformers stay as they are
