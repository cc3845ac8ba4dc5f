"""Guards of notebook 04, which run in its kernel after the last cell."""

import contextlib
import io
import math
import re
import sys
from types import SimpleNamespace

import numpy as np


def test_every_row_of_the_dirty_file_is_accounted_for():
    assert [each.line for each in dirty.pairs + dirty.left_out + dirty.bad_rows] == [1, 7, 5, 2, 3, 4, 6]


def test_the_shares_of_four_people_are_those_of_the_formula():
    """Against labels of another annotator: within four standard errors, and in the order that the page tells."""
    for name, chance in chances.items():
        assert abs(kept_shares[name] - chance) < 4 * math.sqrt(chance * (1 - chance) / 1000)
    assert chances["careful"] > 0.9 > chances["plain"] > chances["clumsy"] > 0.5 > chances["likes long answers"]
    assert round(world.margins([shown_pair])[0], 1) == 1.2
    assert len(shown_pair.rejected.split()) - len(shown_pair.chosen.split()) == 5


def test_the_realised_agreement_is_within_its_standard_error_as_the_page_says():
    assert abs(realised - limits.accuracy) < error and abs(error - 0.008) < 0.0005
    by_pair = p * (1 - p) * np.sign(gaps) ** 2  # of a tie no choice counts
    assert abs(error * len(pairs) - math.sqrt(by_pair.sum())) < 1e-9
    assert np.array_equal(np.sign(gaps), np.sign(p - 0.5))  # gold's favourite is the likelier response


def test_the_limits_move_with_both_sliders():
    """A slider that is not used, or whose numbers, pairs and curve are not those of its place."""
    for temperature, flips in ((0.2, 0.2), (0.5, 0.0), (2.0, 0.0), (3.1, 0.35)):
        likely = flips + (1 - 2 * flips) / (1 + np.exp(-gaps / temperature))
        better, least = np.maximum(likely, 1 - likely), np.clip([likely, 1 - likely], 1e-300, 1)
        wanted = (better.mean(), -(least * np.log(least)).sum(axis=0).mean(), (likely * (1 - likely)).mean(),
                  100 * (likely**2 + (1 - likely) ** 2).mean())
        figure, said = turned(temperature, flips)
        pattern = r"best accuracy (.*), NLL (.*), Brier (.*); two such annotators agree in (.*)%"
        numbers = np.array(re.fullmatch(pattern, said).groups(), dtype=float)
        assert (np.abs(numbers - wanted) < [6e-4, 6e-4, 6e-4, 0.06]).all()
        left, right = figure.axes
        assert np.allclose(left.lines[0].get_ydata(), np.sort(better)[::-1])
        assert abs(left.lines[1].get_ydata()[0] - wanted[0]) < 1e-9
        curve, mean, here = right.lines
        assert mean.get_ydata() == left.lines[1].get_ydata()
        assert abs(np.interp(temperature, *curve.get_data()) - wanted[0]) < 1e-3
        assert np.allclose(np.ravel(here.get_data()), (temperature, wanted[0]))
    best = [float(turned(*place)[1].split()[2].rstrip(",")) for place in ((0.2, 0.2), (2.0, 0.0), (2.2, 0.0))]
    assert best[0] < 0.8 and best[1] > 0.7 > best[2]  # what the text found


def test_the_gold_reward_loses_to_the_best_model_of_a_biased_annotator_only():
    for name, (best, of_gold) in table.items():
        assert (of_gold < best - 0.1) == (name == "likes long answers")


def test_agreement_and_unanimity_are_what_theory_says():
    """Two annotators; the share kept is p³ + (1 - p)³; a model of 0.65 or 0.90 is outside of InstructGPT's bounds."""
    alike_by_hand = (p**2 + (1 - p) ** 2).mean()
    assert abs(expected - alike_by_hand) < 1e-9 and expected < limits.accuracy
    assert abs(alike - expected) < 4 * math.sqrt(expected * (1 - expected) / len(pairs))
    spread = math.sqrt(0.25 / len(pairs))
    assert abs(unanimous.mean() - (p**3 + (1 - p) ** 3).mean()) < 4 * spread
    assert abs(kept_limit - np.maximum(p, 1 - p)[unanimous].mean()) < 1e-9 and kept_limit > limits.accuracy + 0.05
    assert 0.65 < 0.726 and (1 + math.sqrt(2 * 0.726 - 1)) / 2 < 0.845


def test_the_report_counts_what_was_planted():
    wanted = {"duplicates": 1, "contradictions": 3, "overlong": 2, "response_overlong": 1, "identical_cut_right": 2,
              "identical_kept": 1, "earlier_turns": 1, "leaked_prompts": 1, "leaked_conversations": 2}
    assert {name: getattr(report, name) for name in wanted} == wanted and report.bad == {"empty response": 1}


def test_the_boxes_are_the_batch():
    """Kinds exchanged, or a mask that is not of the rows drawn."""
    for line, ones, both in zip(boxes, mask, [pair.chosen for pair in encoded] + [pair.rejected for pair in encoded]):
        assert [kind != "pad" for _, kind in line] == ones.bool().tolist() and ones.sum() == len(both)
        start = [kind for _, kind in line].index("response")
        assert line[start - 1][0] == tokenizer.sep_token and line[0][0] == tokenizer.cls_token


def test_each_cut_keeps_what_its_name_says():
    """Names exchanged among the four ways to cut, or a span that is not what the window leaves."""
    prompt, *sizes = map(len, tokenize(tokenizer, [long[1].prompt, long[1].chosen, long[1].rejected]))
    assert {name: [strip.prompt_kept for strip in both] for name, both in strips.items()} == {
        "cut on the right": [(0, spec.max_length - 2)] * 2,
        "only_first": [(0, spec.room - size) for size in sizes],
        "only_first, left": [(prompt - spec.room + size, prompt) for size in sizes],
        "rmlib": [(prompt - spec.room + max(sizes), prompt)] * 2,
    }
    for name, both in strips.items():
        assert [(strip.prompt, strip.response) for strip in both] == [(prompt, size) for size in sizes]
        assert [strip.response_kept for strip in both] == [(0, size * (name != "cut on the right")) for size in sizes]
    assert tokenizer.truncation_side == "right"
    assert sizes[0] != sizes[1] and not any(pair.identical or pair.response_cut for pair in fixed)
    try:
        tokenizer("Hi!", turns[5] * 3, truncation="only_first", max_length=spec.max_length)
    except Exception as refusal:
        assert "too short to respect" in str(refusal)
    else:
        raise AssertionError("the page says that it stops")


def test_a_response_fits_the_window_of_another_backbone_that_spells_words_out():
    """A window in which the tokenizer's own cut stops the page."""
    sys.path.insert(0, "../tests/helpers")
    from cells_again import again, code_of

    cells = code_of("04_preference_data.ipynb")
    _, names = again(cells, "window = ", globals(), is_embedded=lambda _: False)
    _, names = again(cells, "four_cuts(", names, show=lambda figure, alt: None)
    assert names["window"] < window and names["strips"].keys() == strips.keys()


def test_the_usual_code_is_given_both_responses_and_no_training_moves_the_model():
    """One side twice, which after the cut no number tells; a run that goes on where the last one ended."""
    rows = naive_batch(short)["input_ids"]
    for row, text in zip(rows, [f"{each.prompt} {getattr(each, side)}" for side in ("chosen", "rejected")
                                for each in short], strict=True):
        alone = tokenizer(text)["input_ids"]
        assert row[:len(alone)].tolist() == alone and (row[len(alone):] == tokenizer.pad_token_id).all()
    torch.manual_seed(0)
    for ours, first in zip(model.parameters(), RewardModel(settings.backbone, max_length=window).parameters()):
        assert torch.equal(ours.cpu(), first)
    calls = []

    class Watched(torch.optim.AdamW):
        def __init__(self, weights, **given):
            calls.append(given)
            super().__init__(weights, **given)

    usual, torch.optim.AdamW = torch.optim.AdamW, Watched
    try:
        few_losses = train_on(model.collate(fixed), steps=2)
    finally:
        torch.optim.AdamW = usual
    assert calls == [{"lr": learning_rate_for(settings.backbone)}] and np.allclose(few_losses, healthy[:2], rtol=1e-4)
    sys.path.insert(0, "../tests/helpers")
    from cells_again import again, code_of

    _, names = again(code_of("04_preference_data.ipynb"), "def train_on", globals(),
                     learning_rate_for={settings.backbone: 0.125}.get)
    torch.optim.AdamW = Watched
    try:
        names["train_on"](model.collate(fixed), steps=1)
    finally:
        torch.optim.AdamW = usual
    assert calls[1:] == [{"lr": 0.125}]  # the backbone's, not the small one's
    kept, dropped = model(**model.collate(fixed)).numpy(force=True).reshape(2, -1)
    assert np.isclose(few_losses[0], np.logaddexp(0, dropped - kept).mean(), atol=1e-4)


def test_every_set_of_pairs_is_of_the_size_and_the_part_that_the_page_says():
    """The test part in place of the validation pairs, or a set of fewer pairs, where a cell has room."""
    sys.path.insert(0, "../tests/helpers")
    from parts_of_pages import parts

    assert parts(world, pairs=pairs, validation=validation, to_label=to_label, rows=comparisons(0)) == {
        "pairs": (2_000, "train"), "validation": (2_000, "validation"), "to_label": (20, "validation"),
        "rows": (60 * 28, "train")}
    (_, of_rows), (_, of_questions) = both_splits(3).values()
    assert len(of_rows) == 420 and len({each.prompt for each in of_questions}) == 15
    assert {*Counter(each.prompt for each in comparisons(0)).values()} == {28}


def test_each_loss_bears_its_own_name():
    """Names exchanged among the three training losses, whose thin lines no picture's tolerance would hold."""
    drawn = {line.get_label(): line.get_ydata() for line in losses_drawn.axes[0].lines}
    assert [*map(list, drawn.values())] == [stuck, healthy, noisy] and len(healthy) == 12
    flat, restless = drawn["cut on the right"], drawn["cut on the right, dropout on"]
    assert np.abs(np.array(flat) - math.log(2)).max() < 1e-6 and drawn["rmlib"][-1] < 0.3
    assert np.ptp(restless) > 0.01 and 0.5 < min(restless) < math.log(2) < max(restless) < 1


def test_each_rule_bears_its_own_name_and_stands_where_the_page_says():
    longer = np.array([np.sign(len(pair.chosen) - len(pair.rejected)) for pair in validation])
    assert abs(rules["longer"][0] - (1 + longer).mean() / 2) < 1e-9
    assert abs(rules["longer"][0] + rules["shorter"][0] - 1) < 1e-9
    for name, prompt_too in (("bag of words", True), ("bag of words, no prompt", False)):
        bag = fit_bag_of_words(pairs, with_prompt=prompt_too)
        fitted, by_heart = bag.margins(validation), pair_accuracies(bag.margins(pairs)).mean()
        assert abs(rules[name][0] - (1 + np.sign(fitted)).mean() / 2) < 2e-3
        assert abs(by_heart - (0.79 if prompt_too else 0.65)) < 0.006
    for name, of_rule in margins.items():  # by whole conversations, whose first turn is all of a prompt here
        by_prompt = clustered_bootstrap(pair_accuracies(of_rule), [pair.prompt for pair in validation])
        assert np.allclose(rules[name][1:], by_prompt, atol=1e-9)
    assert abs(gold - (1 + np.sign(world.margins(validation))).mean() / 2) < 1e-9
    assert rules["longer"][2] < 0.5 < rules["shorter"][1] < rules["bag of words, no prompt"][0]
    assert max(high for _, _, high in rules.values()) < gold - 0.1
    assert short_wins[~unequal].mean() < 0.5 < 0.55 < short_wins[unequal].mean()


def test_a_split_by_rows_leaks_and_one_by_conversation_does_not():
    """Splits or rules exchanged, a gold reward of other rows, and what the page says of five draws."""
    by_rows, by_conversation = leaks["split by rows"], leaks["split by conversation"]
    assert by_conversation["memoriser"] == [0.5] * 5 and 0.7 < np.mean(by_rows["memoriser"]) < 0.75
    for seed in (0, 4):
        for name, (seen, unseen) in both_splits(seed).items():
            shared = {each.prompt for each in seen} & {each.prompt for each in unseen}
            assert bool(shared) == (name == "split by rows") and len(seen) + len(unseen) == 60 * 28
            assert abs(leaks[name]["gold reward"][seed] - realised_agreement(world.margins(unseen))) < 1e-9
    for name, found in below.items():
        assert list(found) == ["memoriser", "bag of words"]
        for rule, points in found.items():
            assert np.allclose(points, 100 * (np.array(leaks[name][rule]) - leaks[name]["gold reward"]))
    gained = below["split by rows"]["bag of words"] - below["split by conversation"]["bag of words"]
    assert len(gained) == 5 and gained.min() > 4 and 8 < gained.mean() < 12  # "ten points"


def test_kappa_is_agreement_above_that_of_two_whose_choices_are_unrelated():
    """Chance is what their shares of "the left one" would give, with sides drawn at random, a thousand times."""
    exchanged = np.random.default_rng(0).random((1000, 2000)) < 0.5
    left = [np.mean(exchanged ^ [each.chosen == pair.chosen for each, pair in zip(labels, pairs)], axis=1)
            for labels in (first, second)]  # (1000,) each
    chance = np.mean(left[0] * left[1] + (1 - left[0]) * (1 - left[1]))
    kappa = (alike - chance) / (1 - chance)
    assert abs(kappa - (2 * alike - 1)) < 2e-3 and abs(kappa - 0.51) < 0.01


def test_what_is_told_of_human_pairs_is_what_was_stored():
    assert study.report.bad == {"empty response": 4, "prompts differ": 4} and study.report.earlier_turns == 96
    assert study.report.identical_cut_right == 16 and study.report.rows == 1821
    assert 0.065 < min(study.rows_leak) and max(study.rows_leak) < 0.105 and len(study.rows_leak) == 5
    assert list(study.rules) == ["longer", "shorter", "bag of words", "bag of words, no prompt"]
    assert study.rules["shorter"][0] + 0.05 < study.rules["bag of words"][0] < 0.62


def test_what_holds_is_tested_by_the_bounds_that_it_tells():
    """Against a bound that is looser than its sentence."""
    sys.path.insert(0, "../tests/helpers")
    from cells_again import code_of
    from claim_bounds import verdicts, weak_claims
    from deaf_claims import deaf

    code = code_of("04_preference_data.ipynb")
    assert [each for source in code for each in weak_claims(source)] == [] == deaf(code, globals())
    [keys_cell] = [source for source in code if "each prompt holds the earlier ones" in source]
    for place in range(3):  # one conversation's turns or answer are another's: seen wherever it stands among the three
        for other in (PreferencePair("Bread?", bread[place].chosen, "No."),
                      PreferencePair([(turn.role, turn.text) for turn in bread[place].turns], "Another.", "No.")):
            strange = [other if at == place else each for at, each in enumerate(bread)]
            assert list(verdicts(keys_cell, globals() | {"bread": strange}).values()) == [
                place == 2 and other.chosen == "Another."]


def test_the_sliders_reach_these_ends():
    """Against an end or a step that shows in no stored output."""
    sys.path.insert(0, "../tests/helpers")
    from live_sliders import ends

    assert ends() == {"temperature": (0.2, 4, 0.1), "flip rate": (0, 0.4, 0.05)}


def own_pairs_told(size):
    """What the two cells that run where RMLIB_PAIRS is set print of so many conversations, and the calls they make."""
    sys.path.insert(0, "../tests/helpers")
    from cells_again import code_of

    code = code_of("04_preference_data.ipynb")
    cells = [next(each for each in code if each.startswith(start)) for start in ("human = human_pairs", "if enough:")]
    calls, found = [], SimpleNamespace(pairs=[*{each.prompt: each for each in pairs}.values()][:size] * 2)
    found.summary = lambda: "Summary."
    names = {name: lambda *given, come=come, **more: calls.append((*given, more)) or come for name, come in {
        "human_pairs": found, "split_by_conversation": ("seen", "unseen"), "preflight_encoded": "Report.",
        "null_baselines": {"a rule": "margins"}, "with_interval": (0.5, 0.25, 0.75)}.items()}
    with contextlib.redirect_stdout(io.StringIO()) as out:
        for each in cells:
            exec(each, names := globals() | names)
    return out.getvalue(), calls, found.pairs


def test_a_readers_own_pairs_are_told_of():
    """Of three conversations none is held out, of four three tenths."""
    said, calls, _ = own_pairs_told(3)
    assert said == "Summary.\nconversations: 3, too few to hold some out\n" and calls == [(settings, {"limit": 5000})]
    said, calls, given = own_pairs_told(4)
    assert said == f"Summary.\nconversations: 4\nReport.\n{'a rule':24} 0.500  (0.250 to 0.750)\n"
    assert calls == [(settings, {"limit": 5000}), (given, {"held_out": 0.3}), ("seen", tokenizer, spec, "unseen", {}),
                     ("seen", "unseen", {}), ("margins", "unseen", {})]


def test_the_stuck_loss_is_told_in_order():
    """Against ends that are exchanged, or another step's loss, where the cell has room."""
    sys.path.insert(0, "../tests/helpers")
    from cells_again import code_of, printed

    code = code_of("04_preference_data.ipynb")
    flat, restless = [math.log(2)] * 11 + [math.log(2) + 6e-7], [0.7, 0.6, 0.8, 0.75]
    told = printed(code, "stuck, noisy =", globals(),
                   train_on=lambda batch, dropout=False: restless if dropout else flat)
    assert told.splitlines()[:2] == ["loss 0.693147 at first, 0.693148 at step 12", "with dropout from 0.60 to 0.80"]


def test_the_sliders_start_where_their_descriptions_say():
    """Against another start, whose picture a refresh would store above the old words."""
    sys.path.insert(0, "../tests/helpers")
    from live_sliders import starts

    assert starts() == {"temperature": 1, "flip rate": 0}


def test_the_description_of_the_leaks_has_its_numbers_in_order():
    """Against numbers that are exchanged: the memoriser's come first, and the split by rows."""
    sys.path.insert(0, "../tests/helpers")
    from cells_changed import cell_of, names_after

    told = []
    names_after(cell_of("04_preference_data.ipynb", "04-leaks-drawn"), globals(),
                show=lambda figure, alt: told.extend(map(int, re.findall(r"\d+", alt))))
    lacking = [-points.mean() for found in below.values() for points in found.values()]
    assert len(told) == 4 and np.abs(np.subtract(told, lacking)).max() < 1
