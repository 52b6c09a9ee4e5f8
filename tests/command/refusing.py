# SPDX-License-Identifier: MIT
"""Run a command where some system calls are refused, as in a container.

usage: refusing.py CALL... -- COMMAND [ARGUMENT]...
"""
import os
import sys

from refuse import refuse

calls = sys.argv[1:sys.argv.index('--')]
command = sys.argv[sys.argv.index('--') + 1:]
refuse(*((call, 'EPERM') for call in calls))()
os.execvp(command[0], command)
