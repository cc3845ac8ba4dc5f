"""Wrong answers to the exercises of notebook 07: (text of the solution, what stands there instead, what is told)."""

MUTANTS = {
    "7.1": [
        ("-1.0], 4", "-1.0], 5", "the mean of their means is the mean"),
        ("-1.0], 4", "-1.0], 1", "In batches of one she is right"),
        ("-1.0], 4", "0.0], 4", "There are ties among them"),
        ("-1.0], 4", "-1.0], 3", "0.3 is wanted"),
        ("-1.0], 4", "-1.0]", "a batch size"),
    ],
    "7.2": [
        ("[right[prompts == each] for each in drawn]", "[right[np.isin(prompts, drawn)]]", "here it counts once"),
        ("np.concatenate([right[prompts == each] for each in drawn])",
         "np.array([right[prompts == each].mean() for each in drawn])", "the mean of the prompts' own accuracies"),
        ("np.concatenate([right[prompts == each] for each in drawn])", "right[drawn]", "taken for numbers of rows"),
        ("values.mean()", "values.sum() / len(right)", "divided by the number of rows"),
        ("values.mean()", "values.sum() / len(drawn)", "divided by the number of prompts drawn"),
    ],
    "7.3": [
        ("2 * tail", "tail", "this is one tail"),
        ("min(1.0, 2 * tail)", "2 * tail", "a probability is at most 1"),
        ("min(only_first, only_second) + 1", "min(only_first, only_second)", "belongs to the tail"),
        ("min(only_first, only_second) + 1", "max(only_first, only_second) + 1", "the other tail"),
        ("min(only_first, only_second) + 1", "only_first + 1", "whichever is smaller"),
    ],
    "7.4": [
        ("disagree - gap**2", "disagree", "D - δ², not D"),
        ("inv_cdf(0.975)", "inv_cdf(0.95)", "one-sided"),
        ("math.ceil(root**2)", "math.ceil(abs(root))", "forgets to square"),
        ("math.ceil(root**2)", "math.floor(root**2)", "rounds down"),
        ("math.sqrt(disagree) + z_power * math.sqrt(disagree - gap**2)",
         "math.sqrt(disagree - gap**2) + z_power * math.sqrt(disagree)", "the two variances are exchanged"),
        ("z_power * math.sqrt(disagree - gap**2)", "0", "it forgets the power"),
    ],
    "7.5": [
        ("confidence = 1 / (1 + np.exp(-np.abs(margins)))", "confidence = 1 / (1 + np.exp(-margins))",
         "bin the confidence"),
        ("right = (np.sign(margins) + 1) / 2", "right = margins > 0", "a tie is half right; here it is wrong"),
        ("right = (np.sign(margins) + 1) / 2", "right = margins >= 0", "a tie is half right; here it is right"),
        ("np.abs(np.bincount(index, right - confidence)).sum()", "np.bincount(index, right - confidence).sum()",
         "gaps up and gaps down cancel"),
        ("(confidence - 0.5) * 2 * bins", "confidence * bins", "half of them stay empty"),
    ],
    "7.6": [
        ("np.stack([gold_margins, extra_words / 10], axis=1)", "np.stack([0 * margins, extra_words / 10], axis=1)",
         "what longer answers deserve"),
        ("extra_words / 10", "extra_words", "the slope for one word"),
        ("slopes[1]", "slopes[0]", "the slope of the gold margin"),
        ("np.stack([gold_margins, extra_words / 10], axis=1)",
         "np.stack([gold_margins, extra_words / 10, np.ones(len(margins))], axis=1)", "a constant in the fit"),
    ],
    "7.7": [
        ("np.argsort(learned)", "np.argsort(gold)", "it ranks by the gold reward"),
        ("np.argsort(learned)", "np.argsort(-learned)", "the worst of n"),
        ("math.comb(k, n - 1)", "math.comb(k, n)", "choose n - 1 of the k lower ones"),
        (" / math.comb(len(gold), n)", "", "divided by the number of ways"),
        ("gold[np.argsort(learned)]", "np.sort(learned)", "the gold reward judges"),
    ],
}
