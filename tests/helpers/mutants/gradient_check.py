"""Edits of notebook 03's solutions."""

MUTANTS = {
    "3.1": [
        ("np.exp(chosen - rejected)", "np.exp(rejected - chosen)", "σ(Δ) stands where σ(−Δ) belongs"),
        ("-pull / len(pull), pull / len(pull)", "-pull, pull", "each pair counts 1/B"),
        ("-pull / len(pull), pull", "-pull / len(pull), -pull", "both scores get the same sign"),
        ("-pull / len(pull), pull", "pull / len(pull), -pull", "the signs are turned round"),
    ],
    "3.2": [
        ("(4 * narrow - wide) / 3", "(4 * wide - narrow) / 3", "the weights are exchanged"),
        ("(4 * narrow - wide) / 3", "2 * narrow - wide", "an error proportional to h"),
        ("(4 * narrow - wide) / 3", "(narrow + wide) / 2", "an average keeps most of the error"),
        ("(4 * narrow - wide) / 3", "4 * narrow - wide", "have to add up to 1"),
        ("step / 2", "2 * step", "half the step, not twice the step"),
    ],
    "3.3": [
        ('"c", 1.0', '"b", 1.0', "slope_b is right"),
        ('"c", 1.0', '"c", 0.0', "a margin of 0 does not show it"),
        ('"c", 1.0', '"c", 40.0', "there it is right to within"),
        ('"c", 1.0', '"c"', "Return two things"),
        ('"c", 1.0', '"e", 1.0', "none of the four"),
        ('"c", 1.0', '"c", [1.0, 2.0]', "one finite number"),
    ],
    "3.4": [
        ("+ smoothing * (1 - pull)", "- smoothing * (1 - pull)", "the bug is still there"),
        ("-(1 - smoothing) * pull + smoothing", "(1 - smoothing) * pull + smoothing", "both signs are turned round"),
        ("+ smoothing * (1 - pull)", "+ smoothing * pull", "is σ(Δ), not σ(−Δ)"),
        (" + smoothing * (1 - pull)", "", "the second term is gone"),
        ("-(1 - smoothing) * pull + smoothing *", "-smoothing * pull + (1 - smoothing) *", "are exchanged"),
    ],
    "3.5": [
        ("np.mean(singles)", "np.sum(singles)", "against the sum of its pairs"),
        ("bool(abs(loss_fn(chosen, rejected) - np.mean(singles)) < 1e-9)",
         "bool(loss_fn(chosen, rejected) == np.mean(singles))", "== asks for the same bits"),
        ("abs(", "(", "without abs()"),
        ("np.mean(singles)", "singles[0]", "one pair alone stands for all"),
        ("< 1e-9", "> 1e-9", "True and False are exchanged"),
        ("np.mean(singles)", "np.median(singles)", "median stands for their mean"),
        ("singles = [", "chosen, rejected = chosen[:2], rejected[:2]\n    singles = [", "only the first two pairs"),
    ],
    "3.6": [
        ("4 * weight", "2 * weight", "a factor of 2 is missing"),
        ("4 * weight", "weight", "both factors of 2 are missing"),
        ("np.mean", "np.sum", "this is the sum"),
        ("chosen + rejected", "chosen - rejected", "this has the margin"),
        ("4 * weight", "0 * weight", "the penalty sees b"),
    ],
    "3.7": [
        ("loss_fn(weights - step * direction)", "loss_fn(weights)", "not a step back"),
        ("/ (2 * step)", "/ step", "the way is 2h long"),
        ("step * direction", "step", "every weight moves by h alike"),
        ("gradient_fn(weights) @ direction, (ahead - behind) / (2 * step)",
         "(ahead - behind) / (2 * step), gradient_fn(weights) @ direction", "the two are exchanged"),
        ("gradient_fn(weights) @ direction", "np.linalg.norm(gradient_fn(weights))", "take the dot product"),
    ],
}
