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
    found = (rows["k1"] - rows["vocabulary"]).numpy().reshape(64, 8).mean(1)
    assert np.isclose(error, np.sqrt(((found - found.mean()) ** 2).sum() / 63 / 64))


def test_errors_are_of_what_is_independent():
    """For responses in another order than by question, and an error that no question moves."""
    prompts = [row[mask.bool()].tolist()[:begin] for row, mask, begin in
               zip(texts.input_ids, texts.attention_mask, texts.response_start.tolist())]
    assert all(prompts[i] == prompts[i - i % 8] for i in range(512)) and prompts[0] != prompts[8]
    over, here = {}, {}
    for name, each in rows.items():
        by_question = each.numpy().reshape(64, 8)
        over[name] = by_question.mean(1).std(ddof=1) / 8
        here[name] = np.sqrt((by_question - by_question.mean(1, keepdims=True)).__pow__(2).sum() / 7 / 64) / 8**1.5
    assert min(here, key=here.get) == "vocabulary" and here["vocabulary"] < 0.75 * here["k1"]
    assert max(over["k1"], over["vocabulary"]) < 1.2 * min(over["k1"], over["vocabulary"])
    assert over["vocabulary"] > 2 * here["vocabulary"]


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


def cell_again(part, **instead):
    """What a cell of this page prints, and its names, where some of them mean something else."""
    sys.path.insert(0, "../../tests/helpers")
    from cells_again import again, code_of

    return again(code_of("estimating_kl.ipynb"), part, globals(), **instead)


def claims(part, **instead):
    """Whether each claim of a cell holds there, in order."""
    sys.path.insert(0, "../../tests/helpers")
    from cells_again import code_of
    from claim_bounds import verdicts

    return [*verdicts(next(each for each in code_of("estimating_kl.ipynb") if part in each),
                      globals() | instead).values()]


def test_what_holds_would_be_seen_to_fail():
    """For a claim of two that is tested on one, of another estimator than it names, or on a sum in place of each."""
    for at in (0, 2):
        off = [mean + 1e-9 * (k == at) for k, mean in enumerate(means)]
        assert claims("k1 and k3 are unbiased", means=off) == [False]
    assert claims("k1 and k3 are unbiased", means=[means[0], 9.0, means[2]]) == [True]
    for apart, told in ((3.9, True), (4.1, False), (-4.1, False)):
        shifted = [summed + apart * error, *whole[1:]]
        assert claims("k1 agrees within four", whole=shifted) == [told, True], apart
    for ratio, told in ((1.51, True), (1.49, False)):
        assert claims("k1 agrees within four", whole=[whole[0], ratio * summed, whole[2]])[1] == told
    turned = torch.tensor([1e-9, -1e-9, 0.0], dtype=torch.float64)
    for k in range(3):
        assert claims("its mean gradient is zero",
                      mean_gradient=lambda each, far=k: mean_gradient(each) + turned * (each == far)) == [
                          each != k for each in range(3)]


def test_the_numbers_of_a_row_are_those_of_its_name():
    """For another divisor, bound or estimator, in cells with room, or an error within questions that holds what lies
    between them: by values that tell them apart."""
    one = torch.sin(torch.arange(512, dtype=torch.float64) ** 2) + 0.5 + torch.arange(512) // 8 % 4
    ones = [each * one for each in (1, 2, 3)]
    table = one.numpy().reshape(64, 8)
    mean, over = table.mean(), table.mean(1).std(ddof=1) / 64**0.5
    here = (table.var(1, ddof=1).sum() / 8).item() ** 0.5 / 64
    told, _ = cell_again("over questions", whole=ones, by_token=[4 * one, 5 * one, 6 * one], summed=-one)
    sizes = {"k1": 1, "k2, whole": 2, "k3, whole": 3, "k2, by token": 5, "k3, by token": 6, "vocabulary": -1}
    assert told.splitlines() == [
        f"{name:<13} mean {size * mean:5.2f}, error over questions {abs(size) * over:.2f}, here {abs(size) * here:.2f},"
        f" negative {(table * size < 0).mean():.2f}" for name, size in sizes.items()]
    told, _ = cell_again("k1 less the vocabulary's", whole=ones, summed=-one)
    assert told == f"k1 less the vocabulary's: {2 * mean:+.2f}, standard error {2 * over:.2f}\n"
    for name, values in {"k1": whole[0], "k3, by token": by_token[2], "vocabulary": summed}.items():
        assert np.array_equal(seen[name], values.numpy()), name


def test_the_policy_has_learned_as_long_as_it_is_told():
    """For other steps, prompts or samples, in cells with room: what each hands on."""
    handed = []

    def spy(come):
        return lambda *given, **named: handed.append((given, named)) or come

    _, names = cell_again("for _ in learn(", sample=spy("begun"), standardised=spy("judge"), learn=spy([]),
                          load_policy=lambda: (torch.nn.Identity(), "tokens"))
    begun, scaled, ((learner, *others), named) = handed
    prompts = names["world"].prompts("train")
    assert begun == ((names["start"], "tokens", prompts[::8], 2, 0), {})
    assert scaled == (([names["model"]], "begun"), {}) and learner is names["policy"] is not names["start"]
    assert others == ["tokens", "judge", prompts, 25, 0.0, 5e-4] and named == {"seed": 0}
    assert len(texts.input_ids) == 512 == 8 * len(set(questions)) and not set(questions) & set(prompts)


def test_the_words_on_the_figure():
    sys.path.insert(0, "../../tests/helpers")
    from cells_again import code_of, shown, words_on

    assert words_on(shown(code_of("estimating_kl.ipynb"), "figures.estimates(", globals())) == [
        "responses", "estimate of KL, nats", "k1", "k3, by token", "vocabulary"]
