"""Versions, claims, studies, small models and their samples at their edges: values by hand and whole messages."""

import copy
import json
import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import tiny
import torch

import rmlib
from rmlib.course import human, model_parts, optimised, policy, speed, versions, what_moves
from rmlib.course.claims import holds
from rmlib.course.differences import complex_step, forward_difference
from rmlib.course.world import World
from rmlib.pairs import PreferencePair
from rmlib.practice.lengths import Lengths
from rmlib.settings import Settings


def refused(call, kind: type[Exception] = ValueError) -> str:
    with pytest.raises(kind) as found:
        call()
    return str(found.value)


# --- versions ------------------------------------------------------------------------------------------------------

def test_what_is_amiss_is_told_word_for_word_with_one_cure(monkeypatch):
    here = {"old": "1.9", "same": "2.0.1", "newer": "2.0.2", "pre": "2.0.1rc1"}
    floors = {"old": "1.10", "gone": "3", "same": "2.0.1", "newer": "2.0.1", "pre": "2.0.1", "lost": "0.5"}
    monkeypatch.setattr(versions, "floors", lambda: floors)
    monkeypatch.setattr(versions, "distributions", lambda name: [SimpleNamespace(version=here[name])]
                        if name in here else [])
    assert versions.what_is_amiss() == [
        "Missing here: gone, lost.", "Too old here: old 1.9; the course needs 1.10 or newer.",
        'What helps: %pip install "gone>=3" "lost>=0.5" "old>=1.10", then restart the kernel.']
    floors.clear()
    assert versions.what_is_amiss() == []


@pytest.mark.parametrize("python", [(3, 10), (3, 15), (2, 14), (4, 11)])
def test_pythons_just_outside_are_told(monkeypatch, python):
    monkeypatch.setattr(sys, "version_info", (*python, 0))
    assert versions.what_is_amiss() == [f"This is Python {python[0]}.{python[1]}; the course needs 3.11 to 3.14."]
    assert (versions.OLDEST_PYTHON, versions.NEWEST_PYTHON) == ((3, 11), (3, 14))


@pytest.mark.parametrize("clone", [None, "another project"])
def test_outside_a_clone_the_installed_course_tells_its_floors(tmp_path, monkeypatch, clone):
    monkeypatch.setattr(versions, "__file__", str(tmp_path / "rmlib/course/versions.py"))
    monkeypatch.setattr(versions, "requires", lambda name: [f"{name}>=1", "torch>=2.11", 'trl>=1.16; extra == "bench"'])
    if clone:
        (tmp_path / "pyproject.toml").write_text(f'{clone}\ndependencies = [\n"x>=9"\n]\n', encoding="utf-8")
    assert versions.floors() == {rmlib.COURSE: "1", "torch": "2.11"}
    (tmp_path / "pyproject.toml").write_text(f'{rmlib.COURSE} é\ndependencies = [\n  "x>=9", "y>=1.2"\n]\n',
                                             encoding="utf-8")
    assert versions.floors() == {"x": "9", "y": "1.2"}


def test_two_versions_are_told_word_for_word(monkeypatch, capsys):
    monkeypatch.setattr(versions, "what_is_amiss", lambda: ["one", "two"])
    versions.tell_what_is_amiss()
    assert capsys.readouterr().out == "one\ntwo\n"
    versions.tell_what_is_amiss("0.0.9")
    package = rmlib.__file__.removesuffix("/__init__.py")
    assert capsys.readouterr().out == (
        f"one\ntwo\nThis notebook is of version 0.0.9 of the course, and its code, in {package}, of version "
        f"{rmlib.__version__}.\nWhat helps: in a clone, `git pull` and `make reset`; elsewhere %pip uninstall -y "
        f"{rmlib.COURSE}, put the wheel of version 0.0.9 beside the notebook if the code came from one, restart the "
        "kernel, and run this cell again.\n")


# --- claims, differences, real comparisons -------------------------------------------------------------------------

def test_a_claim_that_is_no_truth_value_is_told_word_for_word():
    assert refused(lambda: holds("it is so", 0.3), TypeError) == (
        "holds('it is so', ...) takes True or False, or an array of at least one, got 0.3")


@pytest.mark.parametrize("point", [0.7, np.array([0.7, -1.2]), torch.tensor([0.7, -1.2], dtype=torch.float64)])
def test_a_forward_difference_is_off_by_half_the_curvature_and_a_complex_step_by_nothing(point):
    assert np.allclose(forward_difference(lambda x: x**2, point, 0.25), 2 * point + 0.25, rtol=1e-14)
    assert np.allclose(complex_step(lambda x: x**3, point), 3 * point**2, rtol=1e-15)
    assert np.allclose(complex_step(lambda x: x**3, point, step=0.5), 3 * point**2 - 0.25, rtol=1e-14)
    assert refused(lambda: complex_step(abs, point)) == (
        "the function turned a complex number into a real one, and the derivative was in the part it lost: write it "
        "without abs, max, real parts or conversions to float")
    for call in (forward_difference, complex_step):
        assert refused(lambda: call(abs, point, 0.0))  # noqa: B023


def test_without_real_comparisons_one_sentence_says_how_to_get_them(capsys):
    assert human.human_pairs(Settings("quick", "any", None)) is None
    assert capsys.readouterr().out == (
        "no human comparisons here: set RMLIB_PAIRS to a file of them before Jupyter starts,\n"
        'or read_settings("full") above, which downloads those of HH-RLHF\n')


def test_the_human_study_is_the_stored_counts_under_their_names():
    counted, validated = (json.loads((human.STUDIES / f"{name}.json").read_text(encoding="utf-8"))
                          for name in ("hh_preflight", "hh_minilm"))
    found = human.human_study()
    assert found.rows_leak == counted["rows_leak"] and len(found.rows_leak) == 5
    for part, told in counted["report"].items():
        kept = getattr(found.report, part)
        assert kept == (Lengths(**told) if part in ("prompt", "response", "whole") else told), part
    first = validated["seeds"][0]
    assert first["seed"] == 0 and found.rules.keys() == first["against"].keys()
    for name, (share, low, high) in found.rules.items():
        assert low < share < high and share == first["against"][name]["accuracy"]


# --- small models, samples and speeds ------------------------------------------------------------------------------

@pytest.mark.parametrize("name, first", [("bert", "encoder.layer.1"), ("distilbert", "transformer.layer.1")])
def test_the_parts_of_a_block_are_found_by_our_names(name, first):
    backbone, _ = tiny.build(name)
    theirs = {
        "bert": ["attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense",
                 "attention.output.LayerNorm", "output.LayerNorm", "intermediate.dense", "output.dense"],
        "distilbert": ["attention.q_lin", "attention.k_lin", "attention.v_lin", "attention.out_lin", "sa_layer_norm",
                       "output_layer_norm", "ffn.lin1", "ffn.lin2"]}[name]
    _, second = model_parts.layers_of(backbone)
    ours = ["query", "key", "value", "mix", "norm 1", "norm 2", "up", "down"]
    assert list(second) == ours
    assert all(second[one] is backbone.get_submodule(f"{first}.{other}") for one, other in zip(ours, theirs))


def test_a_parameter_of_no_part_is_told_word_for_word():
    assert refused(lambda: model_parts.count_by_part([("gate.weight", torch.zeros(2))])) == (
        "gate.weight belongs to none of layer norms, embeddings, head, attention, feed-forward: is this a model of "
        "BERT's family?")


def test_rows_go_through_in_parts_of_like_length_without_their_pads():
    lengths = [5, 2, 4, 2, 3]
    mask = (torch.arange(6) < torch.tensor(lengths)[:, None]).long()
    texts = policy.Texts(torch.arange(30).view(5, 6), mask, torch.arange(5))
    seen = []

    def first_token(part: policy.Texts) -> torch.Tensor:
        seen.append((part.input_ids.shape, torch.is_grad_enabled(), sorted(part.response_start.tolist())))
        assert torch.equal(part.attention_mask.sum(1), torch.tensor(lengths)[part.response_start])
        return part.input_ids[:, 0].float()

    assert optimised.in_parts(first_token, texts, size=2).tolist() == [0, 6, 12, 18, 24]
    assert seen == [((2, 2), False, [1, 3]), ((2, 4), False, [2, 4]), ((1, 5), False, [0])]
    many = policy.Texts(torch.zeros(33, 1).long(), torch.ones(33, 1).long(), torch.zeros(33).long())
    sizes = []
    optimised.in_parts(lambda part: sizes.append(len(part.input_ids)) or torch.zeros(len(part.input_ids)), many)
    assert sizes == [32, 1]


def test_means_intervals_and_tilts_by_hand():
    assert optimised.mean_and_error(np.array([1.0, 3.0])) == (2.0, 1.0)
    values = np.array([0.0, 1.0, 5.0])
    rng, means = np.random.default_rng(0), []
    for row in rng.integers(3, size=(2000, 3)):
        means.append(values[row].mean())
    assert optimised.interval(values) == pytest.approx((2.0, *np.quantile(means, [0.025, 0.975])))
    rewards = torch.tensor([[0.0, 1.0], [0.0, 3.0]], dtype=torch.float64)
    for budget in (1e-4, 0.6):
        weights = optimised.tilt_at(rewards, budget)
        assert (weights * (2 * weights).log()).sum(1).mean().item() == pytest.approx(budget, rel=1e-6)
    assert optimised.sentences("One two.  Three FOUR! ?five") == {"one two", "three four", "five"}
    assert optimised.TRUTHS == ("gold", "kl", "right", "wrong", "well_formed", "hedging", "tokens", "ended")
    found = optimised.runs({"runs": [{"a": 1, "b": 2}, {"a": 1, "b": 3}]}, a=1, b=3)
    assert found == [{"a": 1, "b": 3}] and refused(lambda: optimised.study("none"), FileNotFoundError)


def test_the_policys_usual_arguments_and_what_it_refuses(monkeypatch):
    assert policy.MAX_NEW_TOKENS == 48
    small, tokenizer = policy.load_policy()
    assert not small.training and {each.dtype for each in small.parameters()} == {torch.float32}
    asked = []
    monkeypatch.setattr(policy, "sample", lambda *given: asked.append((len(given[2]), given[3])) or 1 / 0)
    with pytest.raises(ZeroDivisionError):
        next(policy.learn(small, tokenizer, None, ["a", "b"], 1, 0.1, 1e-3, seed=0))
    assert asked == [(8, 4)]
    assert refused(lambda: policy.rloo_advantages(torch.zeros(3, 1))) == (
        "rewards must be (P, k) with k >= 2 samples of each prompt, got (3, 1)")
    k1, k2, k3 = policy.kl_terms(torch.tensor([0.0, -1.0]), torch.tensor([-2.0, -1.0]))
    assert k1.tolist() == [2, 0] and k2.tolist() == [2, 0] and k3.tolist() == pytest.approx([np.exp(-2) - 1 + 2, 0])


def test_a_speed_is_told_word_for_word_and_memory_is_asked_of_cuda_alone(monkeypatch):
    assert str(speed.Speed("CPU, 2 threads", "fp32", 12.34, None, None)) == (
        "device                   CPU, 2 threads, fp32\n"
        "pairs a second           12.3\n"
        "of its products' rate    unknown for this backbone\n"
        "peak memory              counted on a GPU alone")
    asked = []
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda device: asked.append(device.type))
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda device: 7)
    for device in map(torch.device, ("cpu", "cuda", "mps")):
        speed.watch_memory(device)
        assert speed.peak_memory(device) == (7 if device.type == "cuda" else None)
    assert asked == ["cuda"] and speed.DTYPES == {"fp32": torch.float32, "bf16": torch.bfloat16}


def test_every_change_has_its_name(monkeypatch):
    model, pairs = tiny.reward_model("distilbert"), World().pairs(3, seed=1)
    asked, real = [], what_moves.padded_rewards
    monkeypatch.setattr(what_moves, "padded_rewards", lambda *given, **more: asked.append((given[2:], more)) or real(
        *given, **more))
    harmless, moving = what_moves.what_moves(model, tiny.reward_model("gpt2"), pairs)
    assert [(name, len(moved)) for name, moved in harmless.items()] == [
        ("17 columns on the right", 6), ("17 columns on the left", 6), ("a decoder, 17 on the left", 6),
        ("batch of 1 pair or of 3", 6), ("two forwards for one", 6), ("pairs in another order", 6),
        ("the bias raised: margin", 3), ("responses swapped: margin", 3)]
    assert [(name, len(moved)) for name, moved in moving.items()] == [
        ("two words more: reward", 6), ("two words more: margin", 3), ("no [SEP] at the end: margin", 3),
        ("bfloat16, batch of 1 or of 3", 6), ("dropout left on", 6), ("the other response, prompt cut", 3)]
    assert (what_moves.HEADS, what_moves.PADS) == (200, 17)
    assert [each for each in asked if each != ((), {})] == [
        (("right", 17), {}), (("left", 17), {}), (("left", 17), {}), ((), {"forwards": 2})]


def test_what_moves_a_reward_by_one_text_after_the_other():
    model = tiny.reward_model("distilbert")
    pairs = [PreferencePair("Is it?", "Yes.", "No, it is not."), PreferencePair("7 + 5?", "12.", "The sum is 5.")]
    _, moving = what_moves.what_moves(model, tiny.reward_model("gpt2"), pairs)

    def rewards(model, before: str = "") -> np.ndarray:  # (2, P): chosen, rejected
        texts = [(before + pair.prompt, (pair.chosen, pair.rejected)) for pair in pairs]
        return np.transpose([[model.score(prompt, [each])[0] for each in both] for prompt, both in texts])

    plain, greeted = rewards(model), rewards(model, "Good morning. ")
    unended, narrow = copy.deepcopy(model), copy.deepcopy(model)
    unended.encoding, narrow.encoding = replace(model.encoding, suffix=()), replace(model.encoding, max_length=64)
    before = 8 * "Good morning. "
    cut = [what_moves.padded_rewards(narrow, [PreferencePair(before + pair.prompt, pair.chosen, pair.rejected + after)
                                              for pair in pairs])[:2] for after in ("", " That reminds me of soup.")]
    coarse = copy.deepcopy(model).bfloat16()
    wanted = {"two words more: reward": (greeted - plain).ravel(),
              "two words more: margin": np.subtract(*(greeted - plain)),
              "no [SEP] at the end: margin": np.subtract(*(rewards(unended) - plain)),
              "bfloat16, batch of 1 or of 2": (what_moves.padded_rewards(coarse, pairs)
                                               - what_moves.singly(coarse, pairs)),
              "the other response, prompt cut": cut[1] - cut[0]}
    for name, moved in wanted.items():
        assert np.allclose(moving[name], moved, atol=1e-5), name
    assert np.abs(wanted["the other response, prompt cut"]).max() > 0.01
