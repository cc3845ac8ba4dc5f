"""Real comparisons for the notebooks: the reader's own file, or HH-RLHF from the Hugging Face Hub in the full profile.

None are part of the course: people wrote them, some to provoke, and they can be upsetting to read. What was counted
among some of them is: see `human_study`.
"""

import json
import sys
from pathlib import Path
from typing import NamedTuple

import huggingface_hub
from huggingface_hub.errors import LocalEntryNotFoundError

from rmlib.pairs import PairSet
from rmlib.practice import forms
from rmlib.practice.lengths import Lengths
from rmlib.practice.preflight import Preflight
from rmlib.settings import Settings

STUDIES = Path(__file__).parents[1] / "assets" / "studies"
HUB_DATASET = "Anthropic/hh-rlhf"  # MIT licence; Bai et al. (2022), arXiv:2204.05862
ABSENT = ("no human comparisons here: set RMLIB_PAIRS to a file of them before Jupyter starts,\n"
          'or read_settings("full") above, which downloads those of HH-RLHF')


def human_pairs(settings: Settings, part: str = "train", limit: int | None = None) -> PairSet | None:
    """The pairs of settings.pairs; without, in the full profile those of HH-RLHF's harmless-base; else None and a line.

    part: "train" or "test" of HH-RLHF. limit: no more than its first pairs. What is downloaded is told first, with its
    size.
    Raises what `forms.read` raises, and OSError where the hub can't be asked.
    """
    if settings.pairs:
        return forms.read(settings.pairs, limit=limit)
    if settings.profile != "full":
        print(ABSENT)
        return None
    return forms.read(_from_hub(f"harmless-base/{part}.jsonl.gz"), limit=limit)


def _from_hub(name: str) -> str:
    """Path of a file of the dataset, in the local cache or downloaded to it."""
    try:
        return huggingface_hub.hf_hub_download(HUB_DATASET, name, repo_type="dataset", local_files_only=True)
    except LocalEntryNotFoundError:
        [file] = huggingface_hub.HfApi().get_paths_info(HUB_DATASET, [name], repo_type="dataset")
        print(f"downloading {name} of {HUB_DATASET} from the Hugging Face Hub, once: {file.size / 1e6:.1f} MB",
              file=sys.stderr)
        return huggingface_hub.hf_hub_download(HUB_DATASET, name, repo_type="dataset")


class HumanStudy(NamedTuple):
    """What was counted once among 1,821 rows of HH-RLHF; rules: accuracy and its 95% interval, of each by name."""

    report: Preflight
    rows_leak: list[float]
    rules: dict[str, tuple[float, float, float]]


def human_study() -> HumanStudy:
    """The stored counts: a preflight report, for five random quarters of the rows the share whose conversation the
    other rows are of, and how often rules that read little are right, cross-validated over whole conversations.

    They are made by benchmarks/human_preflight.py and, with its seed 0, benchmarks/cross_validate.py.
    """
    counted, validated = (json.loads((STUDIES / name).read_text(encoding="utf-8"))
                          for name in ("hh_preflight.json", "hh_minilm.json"))
    given = counted["report"]
    report = Preflight(**given | {part: Lengths(**given[part]) for part in ("prompt", "response", "whole")})
    rules = {name: (row["accuracy"], row["accuracy_low"], row["accuracy_high"])
             for name, row in validated["seeds"][0]["against"].items()}
    return HumanStudy(report, counted["rows_leak"], rules)
