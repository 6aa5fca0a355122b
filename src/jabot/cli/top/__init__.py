"""`jabot top`: a live screen of the fleet.

In reading order: `command`, `fleet` (what is known of the nodes, without a screen or a clock of its
own), `feed` (where that comes from), `columns` (rows as texts), `picker` (a list to choose from),
`screen`, `node_screen` and `dialogs` (what Textual shows).
"""
