"""The command line: `fileservice`, or `python -m fileservice`.

Results are written to standard output, everything else to standard error. The exit status is 0 for
success, 1 if something cannot be done, and 2 if the command is not used correctly. Commands that
use a service, or read whole stores, say more by it: see `exit_status`.
"""
