"""Guards of the side page on floating point, which run in its kernel after the last cell."""

import math
import re
import sys

import numpy as np


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


def test_the_bias_drifts_by_rounding_alone():
    assert np.all(biases[:, 0] == 0) and 0 < biases[:, 1].max() < 1e-15 and 3e-4 < drifted < 3e-3
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
