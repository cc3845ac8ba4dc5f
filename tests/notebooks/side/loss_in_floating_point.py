"""Guards of the side page on floating point, which run in its kernel after the last cell."""

import math
import re
import sys

import numpy as np

sys.path.insert(0, "../../tests/helpers")
from cells_again import printed  # noqa: E402
from cells_changed import all_hold, cell_of, names_after  # noqa: E402

PAGE = "loss_in_floating_point.ipynb"


def said(cell_id, **instead):
    """What a cell prints, run once more with `instead` for what it has of the page."""
    return printed([cell_of(PAGE, cell_id)], "", globals(), **instead)


def numbers(text):
    return [float(each) for each in re.findall(r"[+-]?\d+(?:\.\d+)?(?:e[+-]?\d+)?", text)]


def to_bfloat16(value):
    """Rounded to the nearest value with 8 binary digits, ties to the even one, without torch."""
    fraction, exponent = math.frexp(value)
    return math.ldexp(round(fraction * 256) / 256, exponent)


def test_every_threshold_is_the_first_value_beyond_theory_and_all_beyond_fail():
    for format_name, dtype in formats.items():
        info = torch.finfo(dtype)
        for name, form in naive.items():
            key = f"{name}, {format_name}"
            for one, expected in zip(map(abs, ranges[key]), map(abs, theory[key]), strict=True):
                step = 2.0**-10 if info.bits > 16 else info.eps * 2 ** math.floor(math.log2(one))
                assert 0 <= one - expected <= step, key
            scanned = every_value(dtype)
            true, told = -F.logsigmoid(scanned.double()).to(dtype), form(scanned)
            low, high = ranges[key]
            assert torch.equal(told.isinf() & true.isfinite(), (scanned <= low) & true.isfinite())
            assert torch.equal((told == 0) & (true > 0), (scanned >= high) & (true > 0))


def test_the_scan_takes_every_number_of_16_bits():
    assert len(every_value(torch.bfloat16)) == 2**16 - 2 * 2**7 and len(every_value(torch.float16)) == 2**16 - 2 * 2**10


def test_the_stable_form_has_the_wrong_slope_at_0_and_no_other():
    zero = torch.tensor([0.0, 1.0], requires_grad=True)
    for form, right in ((stable, False), (rmlibs, True)):
        [slope] = torch.autograd.grad(form(zero).sum(), zero)
        assert (slope[0] == -0.5) == right and abs(slope[1] + 1 / (1 + math.e)) < 1e-6


def test_the_step_is_as_high_as_theory_says():
    assert distances[36].max() <= 1e-12 and abs(distances[20].max() / math.exp(-20) - 1) < 0.01
    assert abs(places[0] - 20) < 1e-9 and 33 < first < 34


def test_ties_are_within_four_standard_errors_of_theory():
    for offset, share in tied.items():
        expected = 2.0 ** (math.floor(math.log2(offset)) - 7) / math.sqrt(math.pi)  # ω is 1/2
        assert abs(share - expected) < 4 * math.sqrt(expected / 100_000)
    assert min(offset for offset, share in shares.items() if share >= 0.1) == 32


def test_rewards_that_drift_to_other_offsets():
    """The spacing of another power of two, the share of another offset, a theory without ω."""
    shown = {}
    for offset, spacing in ((1, 2**-7), (31, 2**-3), (32, 2**-2), (63, 2**-2)):
        figure, text = drift(offset)
        kept = figure.axes[0].lines[1].get_ydata()
        assert numbers(text)[0] == spacing and np.all(kept % (spacing / 2) == 0) and abs(kept.mean() - offset) < spacing
        assert np.diff(np.unique(kept[kept > offset])).min() == spacing
        theory, found, here = figure.axes[1].lines
        assert np.isclose(theory.get_ydata()[-1], 100 * 0.25 / math.sqrt(math.pi))
        shown[offset] = numbers(text)[1]
        assert np.isclose(here.get_ydata()[0], shown[offset], atol=0.051) and len(found.get_xdata()) == 63
    few_ties, half, many = (100 * spacing / math.sqrt(math.pi) for spacing in (2**-7, 2**-3, 2**-2))  # ω is 1/2
    assert abs(shown[1] - few_ties) < 0.25 and abs(shown[31] - half) < 1 and abs(shown[63] - many) < 1
    assert shown[31] < shown[32] < shown[63]


def test_the_slider_of_steps_rounds_at_other_positions():
    """A rate, a start or a sum that is right at the first position only; the two names exchanged."""
    for exponent in (-4.4, -3.9, -3.6, -3.3, -3.0):
        figure, line = forty_steps(exponent)
        rate, weights = 10**exponent, [to_bfloat16(0.05)]
        for _ in range(40):
            weights.append(to_bfloat16(np.float32(weights[-1]) + np.float32(rate)))
        lines = {each.get_label(): each.get_ydata() for each in figure.axes[0].lines}
        assert np.allclose(lines["bfloat16"], weights, rtol=0, atol=1e-9)
        assert np.allclose(lines["float32"], weights[0] + rate * np.arange(41), rtol=0, atol=1e-9)
        assert line == (f"learning rate {rate:.1e}, gap {2**-12:.1e}: float32 moved by {40 * rate:.4f},"
                        f" bfloat16 by {weights[-1] - weights[0]:.4f}")


def test_each_way_to_a_derivative_bears_its_own_name():
    """Curves exchanged in a picture whose tolerance is wider than they are; a way without its order."""
    assert list(errors) == ["forward", "central", "extrapolated", "complex"]
    drawn = {line.get_label(): line.get_ydata() for line in ways_drawn.axes[0].lines}
    for name, off in errors.items():
        assert np.allclose(drawn[name][off > 0], off[off > 0], atol=0)
    second, third = 0.196612, 0.090858
    for name, step, first_term in (("forward", 2**-12, 2**-12 / 2 * second), ("central", 2**-6, 2**-12 / 6 * third),
                                   ("complex", 2**-6, 2**-12 / 6 * third)):
        assert 0.9 < errors[name][tried == step].item() / first_term < 1.1
    ratios = errors["extrapolated"][2:5] / errors["extrapolated"][3:6]
    assert np.all(abs(ratios / 16 - 1) < 0.2)  # of the fourth order
    assert errors["complex"][30:].max() < 1e-15 < errors["central"].min() < 1e-10 and single.min() > 1e-7


def test_each_dot_is_the_worst_of_101_margins():
    """Against a mean of them, in a U that is as deep within its tolerance."""
    for dtype, row, power in ((np.float32, single, 4), (np.float32, single, 12), (np.float64, errors["central"], 30)):
        step = dtype(2.0**-power)
        off = [abs(float((plain(z + step) - plain(z - step)) / (2 * step)) + 1 / (1 + math.exp(z)))
               for z in (dtype(1 + n / 1024) for n in range(-50, 51))]
        assert np.isclose(row[power], max(off), rtol=0.05), (dtype, power)


def test_the_four_names_are_four_functions():
    """Against one function that stands for another, whose numbers are the same."""
    from unittest.mock import patch

    for row, name in enumerate(("logsigmoid", "softplus", "binary_cross_entropy_with_logits", "cross_entropy")):
        with patch.object(F, name, lambda *_, **__: torch.full((3,), 7.0)):
            values = four_names(torch.ones(3), torch.zeros(3)).values()
        assert [int(abs(each[0]) == 7) for each in values] == [int(at == row) for at in range(4)], name
    assert [*four] == ["log-sigmoid", "softplus", "binary cross-entropy", "two-way cross-entropy"]


def test_the_bias_drifts_by_rounding_alone():
    assert np.all(biases[:, 0] == 0) and 0 < biases[:, 1].max() < 1e-15 and 3e-4 < drifted < 3e-3
    compared = []
    batch = names_after(cell_of(PAGE, "float-d-bias"), globals(), bradley_terry_loss=lambda *sides: compared.append(
        sides[0][0].item()) or bradley_terry_loss(*sides))["bias_gradients"]
    assert biases.min() == 0 and all(min(batch(seed)) >= 0 for seed in range(20))  # sizes, without a sign
    assert len({*compared}) == 20 and biases.shape == (50, 2)
    assert len({*biases[:, 1]}) > 5 and len({moved_by_adam(seed) for seed in range(3)}) == 3  # one batch, one head each


def test_two_precisions_bear_their_own_names():
    """Names of two curves exchanged in a picture whose tolerance is wider than they are."""
    assert list(whole) == ["float32", "float64"] and all(len({*next(zip(*rows))}) == 3 for rows in found.values())
    for dtype, name in ((torch.float32, "float32"), (torch.float64, "float64")):
        errors_of = [abs(row[1] / exact[0] - 1) for row, exact in zip(found[dtype], found[torch.float64], strict=True)]
        assert np.array_equal(whole[name], np.max(errors_of, axis=0))
    assert whole["float64"][4] < 1e-6 and 1e-5 <= few[whole["float64"].argmin()] <= 1e-3 and whole["float32"][-1] == 1
    drawn = {line.get_label(): line.get_ydata() for line in two_precisions.axes[0].lines}
    for name, off in whole.items():
        assert np.allclose(drawn[name][off > 0], off[off > 0], atol=0)
    assert two_precisions.axes[0].get_ylabel() == "relative error of the slope"
    assert {str(each.head.weight.dtype)[6:] for each in models.values()} == {*whole}


def test_theory_is_told_to_its_last_digit():
    """Against a formula that is off by less than the room of its cell, or by less than one printed digit shows."""
    rows = re.findall(r"around +(\d+): .* theory +([\d.]+)%", said("float-tied"))
    for offset, told in rows:
        assert abs(float(told) - 100 * 2.0 ** (int(math.log2(int(offset))) - 7) / math.sqrt(math.pi)) < 0.0051
    assert [offset for offset, _ in rows] == ["6", "12", "24", "48"]
    chance = 1 / (1 + math.exp(-1))
    bend = chance * (1 - chance) * (2 * chance - 1)  # the third derivative's size at the margin 1
    lengths = np.geomspace(1e-3, 0.1, 10_001)
    off_by = lengths**2 * bend / 6 + 2.0**-23 * math.log1p(math.exp(-1)) / lengths
    assert abs(step / lengths[off_by.argmin()] - 1) < 1e-3 and abs(least / off_by.min() - 1) < 1e-5


def test_each_claim_fails_where_one_entry_is_wrong():
    """Against margins, steps or forms that are left out of a claim."""
    def off_at(form, margin):
        return lambda z: form(z) * (1 + 6 * 2.0**-24 * (z == margin))

    for margin in (-800.0, -1001 / 1024, 0.0, 30.0, 87.0):  # one of them needs more digits than bfloat16 has
        for name, form in (("stable", stable), ("rmlibs", rmlibs)):
            assert not all_hold(cell_of(PAGE, "float-stable-right"), globals(), **{name: off_at(form, margin)}), margin
    below = np.flatnonzero(tried < 1e-8)
    for at in (below[0], below[-1]):
        worse = errors | {"complex": np.where(np.arange(52) == at, 1.1e-15, errors["complex"])}
        assert not all_hold(cell_of(PAGE, "float-d-zoo-told"), globals(), errors=worse)
    for before, name in zip(errors, [*errors][1:]):  # no longer a fifth of the one before
        raised = errors | {name: np.maximum(errors[name], errors[before].min() / 4.9)}
        assert not all_hold(cell_of(PAGE, "float-d-zoo-told"), globals(), errors=raised), name
    for share in (0.09, 11):
        at_the_bottom = {"single": single * share * least / single.min()}, {
            "tried": tried * share * step / tried[single.argmin()]}
        assert not any(all_hold(cell_of(PAGE, "float-d-single-told"), globals(), **each) for each in at_the_bottom)
    for at in (0, 49):
        one_off = np.where(np.arange(50)[:, None] == at, 2e-15, biases)
        assert not all_hold(cell_of(PAGE, "float-d-bias-told"), globals(), bias_gradients=one_off.__getitem__)
    assert not all_hold(cell_of(PAGE, "float-d-bias-told"), globals(), bias_gradients=lambda _: [0.0, 0.0])
    for wrong in ({"float64": np.full(13, 1.1e-8)}, {"float32": np.where(np.arange(13) == 5, 9e-5, 1.0)}):
        assert not all_hold(cell_of(PAGE, "float-d-scan-holds"), globals(), whole=whole | wrong)


def test_a_step_that_can_be_seen_is_not_called_right():
    """Against a verdict that takes a small distance for none."""
    from types import SimpleNamespace

    def stepped(at, threshold):  # by 1e-7 of a slope
        return F.softplus(at, threshold=threshold) + (at > 20) * 2e-13 * (threshold == 36)

    told = said("float-step-slope", F=SimpleNamespace(softplus=stepped)).splitlines()
    assert told[0] == "threshold 20: slope at 20 off by 1.0e-03" and told[1].startswith("threshold 36: slope at 20 off")
    ends = torch.linspace(-50, 50, 20_001, dtype=torch.float64)
    nearly = {"log-sigmoid": ends * 0, "other": 2e-12 * (ends == 50)}
    assert "2.00e-12 off, at margin 50.000" in said("float-apart", four_names=lambda *_: nearly)


def test_the_step_is_drawn_at_its_margin_above_its_line():
    """Against margins of the other sign, and a line elsewhere than at 1e-12."""
    shown = []
    names_after(cell_of(PAGE, "float-step-drawn"), globals(), show=lambda figure, alt: shown.append(figure))
    lines = {line.get_label(): line for line in shown[0].axes[0].lines}
    for threshold in (20, 36):
        x, y = lines[f"threshold {threshold}"].get_data()
        cut = np.log1p(np.exp(x[x < -threshold]))  # what the short cut leaves out
        seen = cut > 1e-13
        assert np.allclose(y[x < -threshold][seen], cut[seen], rtol=0.1) and y[x > -threshold].max() < 1e-13
    [line] = [line for line in shown[0].axes[0].lines if line.get_linestyle() == "--"]
    assert list(line.get_ydata()) == [1e-12, 1e-12]


def test_what_is_scanned_moved_and_averaged_is_what_the_text_says():
    """Against another tensor, one direction for three, another rate, and fewer heads than are told."""
    from unittest.mock import patch

    asked, rates, seeds = [], [], []

    def recorded(model, name, steps, seed):
        asked.append((model.head.weight.dtype, name, tuple(steps), seed))
        return 1.0, np.ones(13)

    names_after(cell_of(PAGE, "float-d-scan"), globals(), slopes_along=recorded)
    known = [name for name, _ in models[torch.float32].named_parameters()]
    before, after = known[: known.index(asked[0][1])], known[known.index(asked[0][1]) + 1:]
    assert abs(len(before) - len(after)) <= 1 and {name for _, name, _, _ in asked} == {asked[0][1]}
    assert [(dtype, seed) for dtype, _, _, seed in asked] == [
        (dtype, seed) for dtype in (torch.float32, torch.float64) for seed in range(3)]
    assert np.allclose(asked[0][2], [10.0**-power for power in range(13)])

    class Watched(torch.optim.Adam):
        def __init__(self, given, lr):
            rates.append((lr, given[0].dtype))
            super().__init__(given, lr=lr)

        def step(self):
            rates.append("step")
            super().step()

    with patch.object(torch.optim, "Adam", Watched):
        moved_by_adam(0)
    assert rates == [(1e-3, torch.float32)] + ["step"] * 16
    said("float-d-adam-told", moved_by_adam=lambda seed: seeds.append(seed) or 1e-3)
    assert seeds == [*range(8)]


def test_a_scan_leaves_the_weights_where_they_were():
    """Against weights that stay at the end of the last step, where this is a long one."""
    name, found_here = names[len(names) // 2], []
    for model in models.values():
        before = model.get_parameter(name).detach().clone()
        found_here.append([slopes_along(model, name, steps, 0)[0] for steps in ([1e-12], [1e-3, 3.0])])
        assert torch.equal(model.get_parameter(name), before)
    assert np.allclose(np.diff(found_here), 0, atol=1e-12)  # the gradient is that of the same place


def test_what_holds_is_tested_by_the_bounds_that_it_tells():
    """Against a bound that is looser than its sentence."""
    sys.path.insert(0, "../../tests/helpers")
    from cells_again import code_of
    from claim_bounds import weak_claims

    code = code_of("loss_in_floating_point.ipynb")
    in_units_of_the_rate = ("'that is less than 16 whole steps of Adam'", 16e-3)
    assert {each for source in code for each in weak_claims(source)} == {in_units_of_the_rate}


def test_the_sliders_reach_these_ends():
    """Against an end or a step that shows in no stored output."""
    sys.path.insert(0, "../../tests/helpers")
    from live_sliders import ends

    assert ends() == {"offset": (1, 63, 1), "log10 of the learning rate": (-5, -3, 0.1)}
