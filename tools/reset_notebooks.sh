#!/bin/sh
# Restores the committed notebooks, and first copies those that were changed to kept/DATE: `make reset`. Notebooks that
# git does not know, and labels, are left alone. Must be a plain sh: it runs where there is no Python yet.
set -eu
cd "$(dirname "$0")/.."

if [ -z "$(git ls-tree HEAD notebooks/ 2>/dev/null)" ]; then
    echo "There is no git clone here, so nothing to restore from: download the course anew." >&2
    exit 1
fi
# All that differs from the last commit, staged or not, but what only the index has (A): that is the reader's own.
changed=$(git -c core.quotePath=false diff --name-only --relative --no-renames --diff-filter=a HEAD -- 'notebooks/*.ipynb')
if [ -z "$changed" ]; then
    echo "Every notebook is as it came: nothing to restore."
    exit 0
fi

day=kept/$(date +%Y-%m-%d_%H-%M-%S)
kept=$day number=1
mkdir -p kept
until mkdir "$kept" 2>/dev/null; do
    number=$((number + 1))
    [ "$number" -le 100 ] || { echo "No folder can be made in kept/: nothing was changed." >&2; exit 1; }
    kept=$day-$number
done
echo "$changed" | while IFS= read -r notebook; do
    if [ -e "$notebook" ]; then
        copy=$kept/${notebook#notebooks/}
        mkdir -p "$(dirname "$copy")"
        cp -p "$notebook" "$copy"
        echo "$notebook: yours is now $copy"
    else
        echo "$notebook: was deleted"
    fi
done
echo "$changed" | while IFS= read -r notebook; do
    git checkout --quiet HEAD -- "$notebook"
done
rmdir "$kept" 2>/dev/null || true  # where all were deleted
echo "Restored. If one is open in JupyterLab: File, Reload Notebook from Disk."
