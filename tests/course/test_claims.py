"""`holds` says what holds, stops where it does not, and takes nothing for a truth value that is none."""

import numpy as np
import pytest
import torch

from rmlib.course.claims import holds


@pytest.mark.parametrize("condition", [
    True, np.bool_(True), np.array(True), np.array([[True], [True]]), torch.tensor(True), torch.tensor([True, True]),
    torch.tensor([1.0, 2.0], requires_grad=True) > 0, [True, True],
])
def test_what_holds_is_said_in_its_words(condition, capsys):
    holds("the four forms agree to 1e-12", condition)
    assert capsys.readouterr().out == "holds: the four forms agree to 1e-12\n"


@pytest.mark.parametrize("condition, where", [
    (False, ""), (np.bool_(False), ""), (torch.tensor(False), ""), ([True, False], " at 1 of 2 entries"),
    (np.array([True, False, False]), " at 2 of 3 entries"), (torch.tensor([[False], [True]]), " at 1 of 2 entries"),
])
def test_what_does_not_hold_stops_the_cell(condition, where, capsys):
    with pytest.raises(AssertionError) as stopped:
        holds("all agree", condition)
    assert str(stopped.value) == f"does not hold{where}: all agree" and not capsys.readouterr().out


@pytest.mark.parametrize("condition", [
    np.ones(0, dtype=bool), torch.ones(0, dtype=torch.bool), lambda: True,
    0.3, 1, None, "yes", np.float64(1e-13), np.array([1, 0]), torch.tensor(2.0), torch.tensor([1, 1]),
])
def test_what_is_no_truth_value_is_refused(condition):
    with pytest.raises(TypeError, match="takes True or False"):
        holds("the two agree", condition)
