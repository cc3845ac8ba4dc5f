"""The course's policy and reward model in TRL's RLOO trainer: its advantages and its first gradient are ours."""

import sys

import pytest
from places import ROOT


@pytest.mark.real
def test_trl_takes_our_step(tmp_path):
    pytest.importorskip("trl", reason="TRL is not installed: make bench")
    sys.path.append(str(ROOT / "benchmarks"))
    import trl_policy

    watched = trl_policy.trainer(2, str(tmp_path))
    watched.train()
    advantages, gradient = trl_policy.distances(watched)
    assert watched.first["advantages"].abs().max() > 0.5  # there is something to agree on
    assert advantages < 1e-4 and gradient < 1e-4
    assert len([row for row in watched.state.log_history if "reward" in row]) == 2
