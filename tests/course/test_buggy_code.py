"""The code with a bug that exercises show: it has the bugs that the page tells of, and no other."""

import ast
import json
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from notebook_rules import BLOCK, load
from places import ROOT

rng = np.random.default_rng(0)


def on_page(number: str, *names: str):
    """Functions as a notebook's cells define them."""
    [path] = (ROOT / "notebooks").glob(f"{number}_*.ipynb")
    found = {"np": np, "math": math, "F": F, "torch": torch}
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "code" and any(f"def {name}(" in source for name in names):
            for node in ast.parse(source).body:
                if isinstance(node, ast.FunctionDef) and node.name in names:
                    exec(ast.unparse(node), found)
    return [found[name] for name in names]


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def test_0_2_it_sums_and_never_asks_which_side_was_chosen():
    [text] = [cell["source"] for cell in load(ROOT / "notebooks/00_start_here.ipynb")["cells"]
              if "### Exercise 0.2" in cell["source"]]
    found = {"np": np}
    exec(BLOCK.search(text)[0].strip("`").removeprefix("python"), found)
    left, right = rng.normal(size=(2, 7))
    for chosen in (np.ones(7, dtype=bool), np.zeros(7, dtype=bool)):
        assert np.isclose(found["batch_loss"](left, right, chosen), np.log1p(np.exp(right - left)).sum())
    first = found["batch_loss"](np.zeros(32), np.zeros(32), chosen)
    assert f"{first:.2f}" in text and f"{first:.1f}." in text


def test_1_1_the_fit_forgets_the_losses_of_the_others():
    """Its bug: w_ij where n_ij = w_ij + w_ji belongs, in one sweep of two responses."""
    [fit] = on_page("01", "broken_fit")
    first = 3 / (3 / 2)
    second = 1 / (1 / (1 + first))
    logs = np.log([first, second])
    assert np.allclose(fit(np.array([[0, 3], [1, 0]]), 1), logs - logs.mean())


def test_1_2_he_asks_only_whether_all_are_connected():
    [approves] = on_page("01", "scores_are_finite")
    assert approves(np.array([[0, 1, 0], [1, 0, 1], [0, 1, 0]])) and approves(np.array([[0, 1], [0, 0]]))
    assert not approves(np.array([[0, 1, 0], [1, 0, 0], [0, 0, 0]]))


def test_2_3_it_clips_far_out_and_subtracts_what_is_nearly_equal():
    [text] = [cell["source"] for cell in load(ROOT / "notebooks/02_pairwise_loss.ipynb")["cells"]
              if "### Exercise 2.3" in cell["source"]]
    found = {"np": np}
    exec(BLOCK.search(text)[0].strip("`").removeprefix("python"), found)
    margins = np.array([-1600.0, -501.0, -499.0, -3.0, 0.0, 3.0, 30.0, 40.0])
    losses, true = found["pair_losses"](margins, 0 * margins), np.logaddexp(0, -margins)
    assert np.allclose(losses[2:6], true[2:6], rtol=1e-12)
    assert list(losses[:2]) == [500, 500] and losses[-1] == 0 < true[-1]


def test_2_4_it_takes_a_column_and_a_row():
    [unguarded] = on_page("02", "unguarded_loss")
    chosen, rejected = torch.randn(2, 5)
    assert torch.isclose(unguarded(chosen, rejected), F.softplus(rejected - chosen).mean())
    assert torch.isclose(unguarded(chosen[:, None], rejected), F.softplus(rejected - chosen[:, None]).mean())


def test_3_1_one_slope_of_four_is_wrong():
    margins = np.array([-3.0, -0.5, 0.7, 2.0, 5.0])
    slopes = on_page("03", "slope_a", "slope_b", "slope_c", "slope_d")
    assert [bool(np.allclose(slope(margins), -sigmoid(-margins))) for slope in slopes] == [True, True, False, True]


def in_text(number: str, exercise: str, name: str):
    """A function of the block of code that an exercise's text shows."""
    [path] = (ROOT / "notebooks").glob(f"{number}_*.ipynb")
    [text] = [cell["source"] for cell in load(path)["cells"] if f"### Exercise {exercise}" in cell["source"]]
    found = {"np": np}
    exec(BLOCK.search(text)[0].strip("`").removeprefix("python"), found)
    return found[name]


def test_4_1_whatever_is_not_model_a_wins_for_model_b():
    read = in_text("04", "4.1", "read_vote_with_a_bug")
    votes = {winner: read({"response_a": "a", "response_b": "b", "winner": winner})
             for winner in ("model_a", "model_b", "tie", "tie (bothbad)", "?")}
    assert votes.pop("model_a") == ("a", "b") and set(votes.values()) == {("b", "a")}


def test_4_2_three_bugs_and_no_fourth():
    """A tie is a disagreement, everybody agrees with oneself, and somebody is always named."""
    odd = in_text("04", "4.2", "odd_rater_with_bugs")
    for _ in range(20):
        labels = rng.choice([-1, 0, 1], size=(4, 50))
        alike = [np.mean([np.mean(one == other) for other in labels]) for one in labels]
        assert odd(labels) == int(np.argmin(alike))


def test_4_3_a_window_without_room_keeps_the_whole_prompt():
    cut = in_text("04", "4.3", "cut_pair_with_a_bug")
    assert cut([1, 2, 3], [4], [5, 6], 4) == ([2, 3, 4], [2, 3, 5, 6])
    assert cut([1, 2, 3], [4], [5, 6], 2) == ([1, 2, 3, 4], [1, 2, 3, 5, 6])


def test_4_4_rows_are_held_out_one_by_one():
    hold_out = in_text("04", "4.4", "hold_out_with_a_bug")
    held = hold_out(["a"] * 10, 0.3, np.random.default_rng(1))
    assert held.sum() == 3 and held.dtype == bool
    assert held.tolist() == [i in np.random.default_rng(1).permutation(10)[:3] for i in range(10)]


def in_statement(number: str, name: str):
    """The function with bugs that an exercise's statement shows."""
    [path] = (ROOT / "notebooks").glob(f"0{number[0]}_*.ipynb")
    [text] = [cell["source"] for cell in load(path)["cells"] if f"### Exercise {number}" in cell["source"]]
    found = {"np": np, "torch": torch}
    exec(BLOCK.search(text)[0].strip("`").removeprefix("python"), found)
    return found[name]


def test_5_1_three_bugs_and_no_fourth():
    """Heads cut from whole rows and put back so, √H for √D, 0 for minus infinity."""
    query, key, value = rng.normal(size=(3, 2, 3, 4))
    seen = np.array([[True, True, False], [True, True, True]])
    wanted = np.empty((2, 2, 3, 2))
    for row in range(2):
        for head in range(2):
            q, k, v = (each[row].ravel()[6 * head : 6 * head + 6].reshape(3, 2) for each in (query, key, value))
            powers = np.exp(np.where(seen[row], q @ k.T / 2, 0))
            wanted[row, head] = powers / powers.sum(axis=1, keepdims=True) @ v
    with_bugs = in_statement("5.1", "attention_with_bugs")
    assert np.allclose(with_bugs(query, key, value, seen, 2), wanted.reshape(2, 3, 4))
    assert np.allclose(with_bugs(*np.full((3, 1, 2, 2), 40.0), np.ones((1, 2), dtype=bool), 1), 40)


def test_5_4_four_bugs_and_no_fifth():
    """No mask, the library's positions, the last token by counting, and a column in place of (B,)."""
    class Told:
        def __call__(self, **given):
            self.given = given
            self.last_hidden_state = torch.arange(24.0).view(2, 4, 3)
            return self

    backbone, mask = Told(), torch.tensor([[0, 0, 1, 1], [1, 1, 1, 0]])
    rewards = in_statement("5.4", "rewards_with_bugs")(backbone, lambda pooled: pooled.sum(1, keepdim=True), mask, mask)
    assert list(backbone.given) == ["input_ids"]
    assert rewards.tolist() == [[3.0 + 4 + 5], [18.0 + 19 + 20]]


def test_5_5_special_tokens_twice_and_an_answer_to_come():
    class Tokenizer:
        def apply_chat_template(self, messages, **options):
            self.told = messages, options
            return "text"

        def __call__(self, text, **options):
            return {"input_ids": [text, options]}

    tokenizer = Tokenizer()
    assert in_statement("5.5", "ids_with_bugs")(tokenizer, [("user", "a")], "b") == ["text", {}]
    messages, options = tokenizer.told
    assert messages == [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    assert options == {"tokenize": False, "add_generation_prompt": True}


def test_6_2_pieces_count_alike():
    [accumulated] = on_page("06", "accumulated_with_a_bug")
    pieces = [rng.normal(size=(n, 3)) for n in (1, 4, 2)]
    assert np.allclose(accumulated(pieces), np.mean([piece.mean(axis=0) for piece in pieces], axis=0))


def test_6_3_three_bugs_and_no_fourth():
    """Gradients of earlier batches stay; clipped after each piece; the rate falls with every piece."""
    [trained] = on_page("06", "trained_with_bugs")
    batches = [[rng.normal(size=(n, 3)) for n in sizes] for sizes in ((2, 1), (3,), (1, 4))]
    weights, gradient, pieces = np.array([0.3, -0.2, 0.1]), np.zeros(3), 0
    for batch in batches:
        for piece in batch:
            pulls = [row / (1 + math.exp(float(row @ weights))) for row in piece]
            gradient = gradient - np.sum(pulls, axis=0) / sum(map(len, batch))
            gradient *= min(1, 0.4 / math.sqrt(gradient @ gradient))
            pieces += 1
        weights = weights - 0.5 * max(0, 1 - pieces / 3) * gradient
    assert np.allclose(trained(np.array([0.3, -0.2, 0.1]), batches, 0.5, 0.4), weights)


def test_6_5_momentum_and_step_begin_anew():
    [continued] = on_page("06", "continued_with_bugs")
    weights, momentum, gradients = np.ones(3), np.zeros(3), rng.normal(size=(4, 3))
    for step in range(4):
        momentum = 0.9 * momentum + gradients[step]
        weights = weights - 0.1 * momentum / (1 + step)
    saved = {"weights": np.ones(3), "momentum": np.full(3, 5.0), "step": 7}
    assert np.allclose(continued(saved, list(gradients)), weights)


def of_exercise(number: str, name: str):
    """A function as the block below an exercise's heading defines it."""
    [path] = (ROOT / "notebooks").glob(f"{int(number.split('.')[0]):02d}_*.ipynb")
    [text] = [cell["source"] for cell in load(path)["cells"] if f"### Exercise {number}:" in cell["source"]]
    found = {"np": np}
    exec(BLOCK.search(text)[0].strip("`").removeprefix("python"), found)
    return found[name]


def test_7_1_votes_are_drawn_one_by_one():
    votes = np.repeat([1.0, 0.0], 50)
    again = [of_exercise("7.1", "resample")(votes, np.random.default_rng(seed)) for seed in range(200)]
    assert 0.03 < np.std(again) < 0.07  # of a hundred independent votes: 0.05


def test_7_3_he_bins_the_probability_of_the_chosen_one():
    [error] = on_page("07", "his_error")
    margins = np.array([2.0, -2.0, 0.1, 3.0])
    p = sigmoid(margins)
    assert error(margins, 1) == pytest.approx(abs(0.75 - p.mean()))
    by_hand = (abs(0 - p[1]) + abs(1 - p[2]) + 2 * abs(1 - p[[0, 3]].mean())) / 4
    assert error(margins, 5) == pytest.approx(by_hand)


def test_7_5_the_first_of_the_best_wins():
    best_of_four = of_exercise("7.5", "best_of_four")
    assert best_of_four(np.zeros((3, 4))) == 1 and best_of_four(np.array([[0.0, 1, 1, 0], [2, 2, 0, 0]])) == 0.5


def test_8_4_he_moves_the_mask_differentiates_the_penalty_and_mixes_the_prompts():
    [loss] = on_page("08", "his_loss")
    generator = torch.Generator().manual_seed(0)
    log_p, log_q = torch.randn(2, 2, 3, 6, generator=generator, dtype=torch.float64)
    mask = torch.tensor([False, True, True, True, False, False]).expand(2, 3, 6)
    rewards, leaf = torch.randn(2, 3, generator=generator, dtype=torch.float64), log_p.requires_grad_()
    found, = torch.autograd.grad(loss(leaf, log_q, mask, rewards, 0.5), leaf)
    p, q = log_p[:, :, 2:5].sum(2), log_q[:, :, 2:5].sum(2)  # one token too late
    worth = rewards - 0.5 * (p - q)
    advantage = worth - worth.mean()  # of all prompts
    # The penalty's own gradient: d(worth_i − mean)/dp = −0.5 (1 at i, less 1/6 everywhere).
    weight = -(advantage - 0.5 * (p - p.mean())) / 6
    assert torch.allclose(found[:, :, 2:5], weight[..., None].expand(2, 3, 3), atol=1e-12)
    assert not found[:, :, :2].any() and not found[:, :, 5:].any()
