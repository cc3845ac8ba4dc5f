"""Edits of notebook 03's solutions."""

MUTANTS = {
    "3.1": [
        ('"c", 1.0', '"b", 1.0', "slope_b is right"),
        ('"c", 1.0', '"c", 0.0', "a margin of 0 does not show it"),
        ('"c", 1.0', '"c", 40.0', "there it is right to within"),
        ('"c", 1.0', '"c"', "Return two things"),
        ('"c", 1.0', '"e", 1.0', "none of the four"),
        ('"c", 1.0', '"c", [1.0, 2.0]', "one finite number"),
    ],
    "3.2": [
        ("2 * (rejected - chosen)", "rejected - chosen", "but it is the pairwise loss"),
        ("2 * (rejected - chosen)", "2 * (chosen - rejected)", "The direction finds it"),
        ("2 * (rejected - chosen)", "2 * (rejected.detach() - chosen)", "The gradient check finds it"),
        ("2 * (rejected - chosen)", "rejected - chosen + 1", "A known value finds it"),
        ("2 * (rejected - chosen)).mean()", "2 * (rejected - chosen).sum())", "Additivity finds it"),
        (".mean()", "", "one number, a torch tensor of shape ()"),
    ],
    "3.3": [
        (" / math.sqrt(weights)", "", "the √N is missing"),
        ("0.8 * t", "t", "0.8 t, not t"),
        ("math.ceil(", "int(", "rounded down"),
        ("math.ceil(math.log(risk) / math.log(0.8 * t))", "math.ceil(0.8 * t / risk)", "their probabilities multiply"),
        ("math.ceil(math.log(risk) / math.log(0.8 * t))", "1", "one direction misses more often"),
    ],
    "3.4": [
        ("failed[-1].name", "failed[0].name", "the last tensor that fails, not at the first"),
        ('"flow" if len(failed) > 1 else "own"', '"flow"', "has a bug of its own"),
        ('"flow" if len(failed) > 1 else "own"', '"own"', "the bug is in what flows back"),
        ("failed[-1].analytic / failed[-1].numeric", "failed[-1].error", "this is the error"),
        ("failed[-1].analytic / failed[-1].numeric", "abs(failed[-1].analytic / failed[-1].numeric)", "lost its sign"),
        ("if not row.ok", "if row.error > 1e-6 * abs(row.numeric)", "where the true slope is zero it is rounding"),
    ],
    "3.5": [
        ("rng.normal(size=(16, 2))", "np.zeros((16, 2))", "it is a saddle"),
        ("rng.normal(size=(16, 2))", "np.ones((16, 2))", "sixteen do the work of one"),
        ("rng.normal(size=(16, 2)), np.zeros(16)", "np.zeros((16, 2)), np.ones(16)", "no gradient reaches W"),
        ("np.zeros(16)", "rng.normal(size=16)", "wanted is log 2 exactly"),
        ("np.zeros(16)", "np.zeros((16, 1))", "w of shape (16,)"),
    ],
}
