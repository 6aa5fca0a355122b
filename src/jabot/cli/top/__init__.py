"""`jabot top`: a live screen of the fleet.

In reading order: `command`, `fleet` (what is known of the nodes, without a screen or a clock of its
own), `rows` (what of it is shown), `feed` (where it comes from), `columns` (rows as texts),
`picker` (a list to choose from), `screen`, `node_screen` and `dialogs` (what Textual shows).
"""
