#!/bin/sh
# Makes the virtual environment $1 from the first Python 3.11 to 3.14 found, or from $PYTHON where that is set.
set -eu
venv=$1

fits() { "$1" -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info < (3, 15))' 2>/dev/null; }

if [ -x "$venv/bin/python" ] && fits "$venv/bin/python"; then exit 0; fi

# Each is tried by running it: a version manager's shim can stand on PATH for a Python that is not installed.
for python in ${PYTHON:-python3 python3.13 python3.12 python3.11 python3.14 python}; do
    if fits "$python"; then
        echo "making $venv from $("$python" -c 'import sys; print(sys.executable)'); installing follows, and takes minutes"
        rm -rf "$venv"
        exec "$python" -m venv "$venv"
    fi
done

echo "No Python 3.11 to 3.14 that can make a virtual environment was found (tried: ${PYTHON:-python3, python3.11 to python3.14, python})." >&2
echo "Install one (on Debian or Ubuntu also python3-venv), or name one: make PYTHON=/path/to/python ..." >&2
exit 1
