"""Real comparisons for the notebooks: the reader's own file, or HH-RLHF from the Hugging Face Hub in the full profile.

None are part of the course: people wrote them, some to provoke, and they can be upsetting to read.
"""

import sys

import huggingface_hub
from huggingface_hub.errors import LocalEntryNotFoundError

from rmlib.pairs import PairSet
from rmlib.practice import forms
from rmlib.settings import Settings

HUB_DATASET = "Anthropic/hh-rlhf"  # MIT licence; Bai et al. (2022), arXiv:2204.05862
ABSENT = ("no human comparisons here: set RMLIB_PAIRS to a file of them before Jupyter starts, or "
          'read_settings("full") above, which downloads those of HH-RLHF')


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
