"""Guards of the side page on estimating KL, run in its kernel after the last cell."""

import sys

import numpy as np
import torch


def test_the_vocabularys_sum_by_loop():
    """For a sum that is shifted by a token, or that runs over the prompt: some responses, one token at a time."""
    for i in (0, 9, 100):
        row = texts.input_ids[i][texts.attention_mask[i].bool()]
        begin, total = texts.response_start[i].item(), 0.0
        for t in range(begin, len(row)):
            with torch.no_grad():
                one, other = (each(row[None, :t]).logits[0, -1].double().log_softmax(-1) for each in (policy, start))
            total += (one.exp() * (one - other)).sum().item()
        assert abs(total - summed[i].item()) < 1e-3


def test_the_rows_are_what_they_are_called():
    ell = (pairs[0] - pairs[1]).numpy()
    whole_ell = ell.sum(1)
    wanted = {"k1": whole_ell, "k2, whole": whole_ell**2 / 2, "k3, whole": np.exp(-whole_ell) - 1 + whole_ell,
              "k2, by token": (ell**2 / 2).sum(1), "k3, by token": (np.exp(-ell) - 1 + ell).sum(1)}
    for name, values in wanted.items():
        assert np.allclose(rows[name].numpy(), values, rtol=1e-6, atol=1e-9), name
    assert list(seen) == ["k1", "k3, by token", "vocabulary"] and np.array_equal(seen["k1"], rows["k1"].numpy())


def test_the_error_is_that_of_the_difference():
    """For the error of k1 alone, which the cell's tolerance would take: the two share their responses."""
    apart = (rows["k1"] - rows["vocabulary"]).numpy()
    assert np.isclose(error, np.sqrt(((apart - apart.mean()) ** 2).sum() / 511 / 512))


def test_what_the_text_says_of_them():
    sizes = {name: each.mean().item() for name, each in rows.items()}
    spread = {name: each.std().item() for name, each in rows.items()}
    assert 0.08 < (rows["k1"] < 0).double().mean() < 0.35
    assert sizes["k2, by token"] > 1.5 * sizes["vocabulary"] and spread["vocabulary"] == min(spread.values())
    assert 0.8 < spread["k3, whole"] / spread["k1"] < 1.2


def test_what_holds_is_tested_by_the_bounds_that_it_tells():
    """Against a bound that is looser than its sentence."""
    sys.path.insert(0, "../../tests/helpers")
    from cells_again import code_of
    from claim_bounds import weak_claims

    code = code_of("estimating_kl.ipynb")
    assert [each for source in code for each in weak_claims(source)] == []
