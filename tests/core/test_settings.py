"""The embedded backbone is known by where it is, however its path is written."""

import os

from rmlib.settings import EMBEDDED_BACKBONE, is_embedded, learning_rate_for


def test_the_embedded_backbone_by_any_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to(EMBEDDED_BACKBONE)
    for path in (str(EMBEDDED_BACKBONE), os.path.relpath(EMBEDDED_BACKBONE), "link"):
        assert is_embedded(path) and learning_rate_for(path) == 5e-4
    assert not is_embedded("distilbert-base-uncased") and learning_rate_for("distilbert-base-uncased") == 5e-5
