"""Edits of notebook 06's solutions."""

MUTANTS = {
    "6.1": [
        ("2 * (inside + 1)", "(inside + 1)", "a pair is two rows"),
        ("sorted(lengths)", "lengths", "not in order of length"),
        ("> budget", ">= budget", "may hold exactly the budget"),
        ("2 * (inside + 1) * length", "2 * inside * length", "before the newcomer is in"),
        ("[*sizes, inside]", "sizes", "the last micro-batch is lost"),
    ],
    "6.2": [
        ("sum(gradients.sum(axis=0) for gradients in pieces) / pairs",
         "sum(gradients.mean(axis=0) for gradients in pieces) / len(pieces)", "the bug is still there"),
        (" / pairs", "", "this is the sum over the pairs"),
        (" / pairs", " / len(pieces)", "divide by the number of pairs"),
        ("gradients.sum(axis=0)", "gradients.mean(axis=0)", "divided by the number of pairs"),
    ],
    "6.3": [
        ("part * min(1, most / norm)", "part * (most / norm)", "clipping only ever shortens"),
        ("np.sqrt(sum((part**2).sum() for part in gradients))", "sum((part**2).sum() for part in gradients)",
         "the root is missing"),
        ("np.sqrt(sum((part**2).sum() for part in gradients))", "sum(np.linalg.norm(part) for part in gradients)",
         "their squares are"),
        ("most / norm)", "most / np.linalg.norm(part))", "clipped by its own norm"),
        ("[part * min(1, most / norm) for part", "[np.clip(part, -most, most) for part", "single numbers are clipped"),
    ],
    "6.4": [
        ("m / (1 - 0.9**step), v / (1 - 0.999**step)", "m, v", "not corrected"),
        ("np.sqrt(square)", "square", "the root is missing"),
        ("learning_rate * decay * weights", "decay * weights", "not multiplied by the learning rate"),
        ("    weights = weights - learning_rate * decay * weights\n", "", "does not decay"),
        ("    m = 0.9 * m", "    gradient = gradient + decay * weights\n    decay = 0\n    m = 0.9 * m",
         "the decay is in the gradient"),
    ],
    "6.5": [
        ("peak * (steps - step) / (steps - warmup)", "peak", "it stays at the peak"),
        ("/ (steps - warmup)", "/ steps", "so jumps at its end"),
        ("step / warmup", "(step + 1) / warmup", "counts from one"),
        ("(steps - step)", "(step - warmup)", "it rises again"),
        ("peak * ", "", "multiply by the peak"),
    ],
    "6.6": [
        ("        gradient = np.zeros(len(weights))\n", "        gradient = gradient if taken else np.zeros(3)\n",
         "never set to zero"),
        ("    gradient = gradient * min", "        gradient = gradient * min", "each piece is clipped"),
        ("        gradient = gradient * min(1, most / np.linalg.norm(gradient))\n", "", "nothing is clipped"),
        ("enumerate(batches)", "enumerate(batches, start=1)", "the first rate is the peak"),
    ],
    "6.7": [
        ('saved["momentum"]', "np.zeros(3)", "the momentum starts again at zero"),
        ('start=saved["step"]', "start=0", "the schedule starts again"),
        ('start=saved["step"]', 'start=saved["step"] + 1', "one step ahead"),
        ('return weights', 'return saved["weights"]', "nothing was trained"),
    ],
}
