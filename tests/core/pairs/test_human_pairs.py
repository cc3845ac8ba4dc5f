"""Real comparisons come from the reader's file, or from the hub's cache in the full profile, or not at all."""

import json
from pathlib import Path

import huggingface_hub
import pytest

from rmlib.course import human
from rmlib.settings import Settings, read_settings

ROW = {"chosen": "\n\nHuman: Hi!\n\nAssistant: Hello.", "rejected": "\n\nHuman: Hi!\n\nAssistant: What?"}


def settings(profile="quick", pairs=None):
    return Settings(profile, "any", pairs)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "some.jsonl"
    path.write_text(json.dumps(ROW) + "\n" + json.dumps(ROW) + "\nnot JSON\n", encoding="utf-8")
    return path


def test_the_quick_profile_has_none_and_says_how_to_get_them(capsys):
    assert human.human_pairs(settings()) is None
    told = capsys.readouterr().out
    assert told.count("\n") == 2 and "RMLIB_PAIRS" in told and 'read_settings("full")' in told


def test_a_file_that_is_not_there_is_told_with_where_it_was_looked_for(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RMLIB_PAIRS", "pairs.jsonl")
    with pytest.raises(FileNotFoundError, match="RMLIB_PAIRS=pairs.jsonl: there is no file") as missing:
        read_settings()
    told = str(missing.value).lower()
    assert str(tmp_path / "pairs.jsonl").lower() in told and "a relative path counts" in told


@pytest.mark.parametrize("profile", ["quick", "full"])
def test_the_readers_own_file_goes_first(file, profile, capsys):
    found = human.human_pairs(settings(profile, str(file)))
    assert len(found.pairs) == 2 and len(found.bad_rows) == 1
    assert len(human.human_pairs(settings(profile, str(file)), limit=1).pairs) == 1
    assert capsys.readouterr().out == ""


def test_the_full_profile_takes_what_is_in_the_cache_without_asking_the_hub(file, monkeypatch, capsys):
    asked = []

    def from_cache(repo, name, repo_type, local_files_only=False):
        asked.append((repo, name, repo_type, local_files_only))
        return str(file)

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", from_cache)
    assert len(human.human_pairs(settings("full"), "test").pairs) == 2
    assert asked == [("Anthropic/hh-rlhf", "harmless-base/test.jsonl.gz", "dataset", True)]
    assert capsys.readouterr().err == ""


def test_a_download_is_told_with_its_size_before_it_begins(file, monkeypatch, capsys):
    told = []

    class Hub:
        def get_paths_info(self, repo, names, repo_type):
            return [type("File", (), {"size": 13_200_000})()]

    def download(repo, name, repo_type, local_files_only=False):
        if local_files_only:
            raise human.LocalEntryNotFoundError("not in the cache")
        told.append(capsys.readouterr().err)
        return str(file)

    monkeypatch.setattr(huggingface_hub, "HfApi", Hub)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    human.human_pairs(settings("full"))
    assert told == ["downloading harmless-base/train.jsonl.gz of Anthropic/hh-rlhf from the Hugging Face Hub, once: "
                    "13.2 MB\n"]
