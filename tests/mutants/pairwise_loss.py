"""Wrong answers to the exercises of notebook 02: (text of the solution, what stands there instead, what is told)."""

MUTANTS = {
    "2.1": [
        ("mean_loss / math.log(2)", "mean_loss", "L itself is no bound"),
        ("min(1.0, mean_loss / math.log(2))", "mean_loss / math.log(2)", "a share is at most 1"),
        ("mean_loss / math.log(2)", "mean_loss * math.log(2)", "multiplied by log 2"),
        ("min(1.0, mean_loss / math.log(2))", "1 - min(1.0, mean_loss / math.log(2))", "the share of errors is wanted"),
    ],
    "2.2": [
        ("(variance + mean**2)", "variance", "the mean of the squares"),
        (" - mean / 2", "", "the term -mean / 2 is missing"),
        ("- mean / 2", "+ mean / 2", "a positive mean margin lowers the loss"),
        ("/ 8", "/ 4", "Taylor's 1/2! is missing"),
    ],
    "2.3": [
        ("chosen - rejected", "rejected - chosen", "the margin is turned round"),
        ("return np.maximum(-margin, 0) + np.log1p(np.exp(-np.abs(margin)))", "return np.log(1 + np.exp(-margin))",
         "exp overflows far on the wrong side, and 1 + exp loses the digits"),
        ("return np.maximum(-margin, 0) + np.log1p(np.exp(-np.abs(margin)))", "return np.log1p(np.exp(-margin))",
         "the digits are there, but exp overflows"),
        ("np.log1p(np.exp(-np.abs(margin)))", "np.log(1 + np.exp(-np.abs(margin)))", "log1p keeps them"),
    ],
    "2.4": [
        ("-12.0", "12.0", "where is σ itself small?"),
        ("-12.0", "-5.0", "go further to the wrong side"),
        ("-12.0", "-40.0", "stay within -20 and 20"),
        ("return -12.0", "return 'far out'", "One number is wanted"),
    ],
    "2.5": [
        ("[[2.0], [0.0], [1.0]]", "[2.0, 0.0, 1.0]", "pair stands against pair"),
        ("[[2.0], [0.0], [1.0]]), torch.tensor([-2.0, 1.0, 3.0])", "[[1.0], [1.0]]), torch.tensor([0.0, 0.0])",
         "hide the bug"),
        ("[[2.0], [0.0], [1.0]]", "[[2.0], [0.0]]", "different numbers of scores"),
        ("[[2.0], [0.0], [1.0]]), torch.tensor([-2.0, 1.0, 3.0])", "[[2.0]]), torch.tensor([1.0])", "take two or more"),
    ],
    "2.6": [
        ("math.log(q / (1 - q))", "math.log(true_probability / (1 - true_probability))", "the flips are left out"),
        ("math.log(q / (1 - q))", "math.log((1 - flip_rate) / flip_rate)", "a certain winner's margin"),
        ("math.log(q / (1 - q))", "q", "this is the probability q"),
        ("math.log(q / (1 - q))", "math.log(q)", "the logarithm of q in place of its logit"),
    ],
    "2.7": [
        ("return (q - flip_rate) / (1 - 2 * flip_rate)", "return q", "with the flips still in it"),
        ("1 - 2 * flip_rate", "1 - flip_rate", "the divisor is 1 - 2ε"),
        ("(q - flip_rate) /", "q /", "ε has to be subtracted first"),
        ("return (q - flip_rate) / (1 - 2 * flip_rate)", "return (1 - flip_rate) * q + flip_rate * (1 - q)",
         "the flips are put in once more"),
    ],
    "2.8": [
        ("2 * weight", "weight", "the 2 of the square's derivative"),
        ("wrong + 2 * weight * (chosen + rejected)\n", "wrong - 2 * weight * (chosen + rejected)\n",
         "pulls both scores the same way"),
        ("math.exp(chosen - rejected)", "math.exp(rejected - chosen)",
         "the pull is the probability of the wrong answer"),
        ("return -wrong + 2 * weight * (chosen + rejected), wrong + 2 * weight * (chosen + rejected)",
         "return -wrong, wrong", "the penalty's pull is missing"),
    ],
    "2.9": [
        ("strengths[k:].sum()", "strengths.sum()", "the winner is put back"),
        ("np.exp(rewards)", "np.exp(rewards[::-1])", "from the worst to the best"),
        ("return probability", "return np.log(probability)", "the logarithm of the probability"),
        ("range(len(strengths))", "range(1)", "only the first place is counted"),
    ],
}
