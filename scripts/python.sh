#!/bin/sh
# Runs a script with the first Python here that MediaHub works with. PYTHON=/path/to/python names one.
supported='import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))'
version='import sys; print("is Python %d.%d" % tuple(sys.version_info[:2]))'

if [ -n "${PYTHON:-}" ]; then
    if "$PYTHON" -c "$supported" >/dev/null 2>&1; then exec "$PYTHON" "$@"; fi
    named=$PYTHON
else
    for candidate in python3 python3.13 python3.12 python3.11; do
        if "$candidate" -c "$supported" >/dev/null 2>&1; then exec "$candidate" "$@"; fi
    done
    named=python3
fi

found=$("$named" -c "$version" 2>/dev/null) || found='cannot be run'
echo "MediaHub needs Python 3.11, 3.12 or 3.13, but $named $found. Install one, or name it with PYTHON=/path/to/python3.11." >&2
exit 1
