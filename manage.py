#!/usr/bin/env python
"""Runs Django's and MediaHub's commands."""

from __future__ import annotations

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mediahub.settings")
    # After the line above: the settings are read while the commands are found.
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
