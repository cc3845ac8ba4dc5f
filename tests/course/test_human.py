"""Real comparisons: the reader's own file, or HH-RLHF's, which is asked for here first and downloaded with its size."""

from types import SimpleNamespace

import pytest
from huggingface_hub.errors import LocalEntryNotFoundError
from training_parts import made_up_pairs

from rmlib.course import human
from rmlib.practice.writing import write_pairs
from rmlib.settings import Settings


@pytest.fixture
def source(tmp_path):
    write_pairs(tmp_path / "pairs.jsonl", made_up_pairs(9))
    return str(tmp_path / "pairs.jsonl")


@pytest.mark.parametrize("profile", ["quick", "full"])
@pytest.mark.parametrize("limit, read", [(None, 9), (4, 4)])
def test_the_readers_own_file_is_read_in_every_profile(source, profile, limit, read):
    found = human.human_pairs(Settings(profile, "any", source), limit=limit)
    assert (len(found.pairs), found.name) == (read, "pairs.jsonl")


@pytest.mark.parametrize("part", ["train", "test"])
@pytest.mark.parametrize("is_here", [True, False])
def test_what_is_not_here_is_downloaded_once_it_was_told(source, part, is_here, monkeypatch, capsys):
    asked = []

    def download(dataset, name, repo_type, local_files_only=False):
        asked.append((dataset, name, repo_type, local_files_only, capsys.readouterr().err))
        if local_files_only and not is_here:
            raise LocalEntryNotFoundError("not here")
        return source

    def info(self, dataset, names, repo_type):
        asked.append((dataset, *names, repo_type))
        return [SimpleNamespace(size=12_340_000)]

    monkeypatch.setattr(human.huggingface_hub, "hf_hub_download", download)
    monkeypatch.setattr(human.huggingface_hub.HfApi, "get_paths_info", info)
    found = human.human_pairs(Settings("full", "any", None), *([] if part == "train" else [part]), limit=3)
    assert len(found.pairs) == 3 and capsys.readouterr().err == ""
    of = "Anthropic/hh-rlhf", f"harmless-base/{part}.jsonl.gz", "dataset"
    told = f"downloading {of[1]} of Anthropic/hh-rlhf from the Hugging Face Hub, once: 12.3 MB\n"
    assert asked == [(*of, True, "")] + ([] if is_here else [of, (*of, False, told)])
