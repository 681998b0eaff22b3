"""`virtadm top`: a live view of daemons in a terminal.

`feed` polls daemons and follows their logs, `rows` says what of that is shown, and both know nothing of
widgets; `app`, `panes` and `dialogs` put it on the screen with Textual, and `orders` carries out what
the user wants of a daemon.
"""
