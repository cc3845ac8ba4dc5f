"""The embedded backbone is known by where it is, however its path is written; settings, and what is told of them."""

import os

import pytest
import torch

from rmlib.settings import (
    EMBEDDED_BACKBONE,
    EMBEDDED_REWARD_MODEL,
    Settings,
    is_embedded,
    learning_rate_for,
    read_settings,
)


def test_the_embedded_backbone_by_any_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to(EMBEDDED_BACKBONE)
    for path in (str(EMBEDDED_BACKBONE), os.path.relpath(EMBEDDED_BACKBONE), "link"):
        assert is_embedded(path) and learning_rate_for(path) == 5e-4
    assert not is_embedded("distilbert-base-uncased") and learning_rate_for("distilbert-base-uncased") == 5e-5


@pytest.mark.parametrize("profile, gpu, told", [
    ("quick", False, "profile quick, backbone embedded, pairs of the gold world, on cpu"),
    ("full", False, "profile full, backbone owner/name, pairs hf:a/b, on cpu"),
    ("full", True, "profile full, backbone owner/name, pairs hf:a/b, on cuda"),
    ("quick", True, 'profile quick, backbone embedded, pairs of the gold world, on cuda\n'
                    'a GPU is here: profile "full" trains distilbert-base-uncased on it'),
])
def test_what_is_told_of_the_settings(monkeypatch, profile, gpu, told):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    given = (str(EMBEDDED_BACKBONE), None) if profile == "quick" else ("owner/name", "hf:a/b")
    assert str(Settings(profile, *given)) == told


@pytest.mark.parametrize("cuda, mps, device", [(True, True, "cuda"), (False, True, "mps"), (False, False, "cpu")])
def test_the_device_is_a_gpu_of_either_make(monkeypatch, cuda, mps, device):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    found = Settings("quick", str(EMBEDDED_BACKBONE), None)
    assert found.device == torch.device(device) and ("a GPU is here" in str(found)) == (device != "cpu")


def test_an_argument_goes_before_the_environment_and_that_before_what_is_usual(monkeypatch):
    for name in ("RMLIB_PROFILE", "RMLIB_BACKBONE", "RMLIB_PAIRS"):
        monkeypatch.delenv(name, raising=False)
    assert read_settings() == Settings("quick", str(EMBEDDED_BACKBONE), None)
    monkeypatch.setenv("RMLIB_PROFILE", "full")
    assert read_settings() == Settings("full", "distilbert-base-uncased", None)
    assert read_settings("quick") == Settings("quick", str(EMBEDDED_BACKBONE), None)
    monkeypatch.setenv("RMLIB_BACKBONE", "owner/name")
    monkeypatch.setenv("RMLIB_PAIRS", "hf:a/b")
    assert read_settings("quick") == Settings("quick", "owner/name", "hf:a/b")
    monkeypatch.setenv("RMLIB_BACKBONE", "")  # as good as not set
    assert read_settings("quick").backbone == str(EMBEDDED_BACKBONE)
    monkeypatch.setenv("RMLIB_PROFILE", "fast")
    with pytest.raises(ValueError, match="must be \"quick\" or \"full\", got 'fast'"):
        read_settings()


def test_what_comes_with_the_course_is_there():
    assert (EMBEDDED_BACKBONE / "config.json").is_file() and (EMBEDDED_REWARD_MODEL / "reward_model.json").is_file()
