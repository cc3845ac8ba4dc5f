"""Edits of notebook 05's solutions."""

MUTANTS = {
    "5.1": [
        ("np.where(seen, scores, -np.inf)", "np.where(seen, scores, 0)", "a score of 0 is no mask"),
        ("np.where(seen, scores, -np.inf)", "np.where(seen, -np.inf, scores)", "the mask is turned round"),
        ("scores = np.where(seen, scores, -np.inf)", "pass", "the mask is not used"),
        (" - scores.max(axis=-1, keepdims=True)", "", "subtract the row's largest"),
        ("axis=-1", "axis=0", "each row has to add up to 1"),
    ],
    "5.2": [
        ("z.reshape(rows, length, heads, width // heads).transpose(0, 2, 1, 3)",
         "z.reshape(rows, heads, length, width // heads)", "the bug is still there"),
        (".transpose(0, 2, 1, 3)", "", "still to be exchanged"),
        ("heads, width // heads).transpose(0, 2, 1, 3)", "width // heads, heads).transpose(0, 3, 1, 2)",
         "every A-th number"),
        ("transpose(0, 2, 1, 3)", "transpose(0, 2, 3, 1)", "the last two axes are exchanged"),
    ],
    "5.3": [
        ("np.sqrt(8 * excess / square)", "8 * excess / square", "this is the variance"),
        ("8 * ", "", "a factor of √8 is missing"),
        (".sum(axis=1).mean()", ".mean()", "not averaged"),
        (".sum(axis=1).mean()", ".sum()", "averaged over the pairs, not added"),
        ("np.sqrt(8 * excess / square)", "8 * excess / np.sqrt(square)", "of the whole quotient"),
    ],
    "5.4": [
        ("score + 0.5", "score - 0.5", "Only 0% of these pairs"),
        ("score + 0.5", "score + 9", "The code with the bug reports 100%"),
        ("[0.0, 1.0, 2.0, 3.0, 4.0, 5.0]", "[0.0]", "With a single pair"),
        ("return chosen, rejected", "return chosen, rejected[1:]", "each pair has one of each"),
        ("return chosen, rejected", "return chosen", "Return two lists"),
    ],
    "5.5": [
        (" / mask.sum(axis=1)[:, None]", "", "this is the sum"),
        ("/ mask.sum(axis=1)[:, None]", "/ mask.shape[1]", "still counted"),
        ("mask.sum(axis=1)[:, None]", "mask.sum()", "all real tokens of the batch"),
        ("(hidden * mask[:, :, None]).sum(axis=1) / mask.sum(axis=1)[:, None]", "hidden.mean(axis=1)",
         "the padding is averaged in"),
    ],
    "5.6": [
        ("hidden[np.arange(len(hidden)), last]", "hidden[:, -1]", "the last column is padding"),
        ("mask.shape[1] - 1 - mask[:, ::-1].argmax(axis=1)", "mask.sum(axis=1) - 1", "only where the padding is on"),
        ("mask.shape[1] - 1 - mask[:, ::-1].argmax(axis=1)", "mask.argmax(axis=1)", "the first real token"),
        ("mask.shape[1] - 1 -", "mask.shape[1] - 2 -", "one token too early"),
    ],
    "5.7": [
        ("mask.cumsum(axis=1) - 1", "np.arange(mask.shape[1])", "the columns' numbers"),
        ("mask.cumsum(axis=1) - 1", "mask.cumsum(axis=1)", "one too high"),
        (" + first", "", "`first` is not used"),
        ("np.where(mask == 1, before, 0)", "np.where(mask == 1, before, -1)", "a position before `first`"),
        ("np.where(mask == 1, before, 0)", "np.maximum(before, 0)", "goes on through the padding"),
    ],
    "5.8": [
        ("4 * (width + 64)", "width + 64", "H wide inside"),
        ("vocabulary, positions, 0", "0, 0, 0", "tables of words and positions"),
        ("vocabulary, positions, 0", "vocabulary, 0, 0", "the positions' table"),
        ("return width", "return width + 64", "a step too far"),
        ("blocks).values", "1).values", "a single block"),
    ],
}
