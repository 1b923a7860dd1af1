"""The command line: `radixgen extract | run | check | worker`.

One file a command; each adds its parser and runs it. Flags that configure a process are made from the fields of its
config class, so there is no second definition. Exit codes: 0, 1 (some rows failed), 2 (could not run), 130 (Ctrl-C).
Errors that radixgen raises on purpose are one line on stderr; nothing else imports this part.
"""
