"""The sizes that the wire allows. `docs/protocol.md` prints them from here."""

from __future__ import annotations

from typing import Final

KIB: Final = 1024
MIB: Final = 1024 * KIB

# One batch. A quarter of what the smallest usual server takes as one stanza (262,144 bytes).
BATCH_SENT: Final = 64 * KIB  # characters as sent, after XML escaping
BATCH_INFLATED: Final = 256 * KIB  # characters of JSON that a receiver takes
BATCH_FRAMES: Final = 256
# What we put into one batch: base64 makes 4 of 3, so it fits even when deflate gains nothing.
BATCH_MADE: Final = 47 * KIB
DEFLATE_FROM: Final = 512  # characters as sent; a shorter batch is not worth deflating

WINDOW: Final = 8  # unanswered batches to one peer
PILE_FRAMES: Final = 1024  # waiting for one peer; past it a submitter waits
PILE_BYTES: Final = 1 * MIB
PILE_STEPS: Final = 32  # progress of one job waiting for one peer; the last one is replaced

# One frame larger than a batch travels in parts.
PAYLOAD: Final = 16 * MIB  # arguments of a job, or its result, as JSON
FRAME: Final = PAYLOAD + 128 * KIB
CHOKED_FRAMES: Final = 16 * PILE_FRAMES  # waiting for one peer; past it nothing is taken from it
CHOKED_BYTES: Final = 4 * PAYLOAD
PART: Final = 44 * KIB  # characters of one part that we make
PARTS: Final = 1024  # of one frame
JOINS: Final = 64  # frames of one peer that are incomplete at one time
JOIN_BYTES: Final = 48 * MIB  # of one peer's incomplete frames
JOIN_BYTES_ALL: Final = 256 * MIB  # of all peers' incomplete frames
JOIN_WITHIN: Final = 120.0  # seconds without another part, after which a frame is given up

HEARTBEAT: Final = 500  # attempts in one heartbeat that we send: no more than fit into a batch

DEPTH: Final = 100  # of arrays and objects inside of each other in a payload
ID: Final = 64  # characters
TASK: Final = 256
KIND: Final = 1600  # bytes of a task's name with the labels that its worker must have, as JSON
TEXT: Final = 4 * KIB  # a message, a progress text
TRACEBACK: Final = 32 * KIB
ADDRESS: Final = 3071  # of an XMPP address (RFC 7622 section 3.1)
META: Final = 32  # entries
META_KEY: Final = 64
META_VALUE: Final = 1 * KIB

# What a worker remembers of ended jobs, for one account and for all. An owed outcome is one that no
# caller has had; a kept one is for those who ask again.
KEPT: Final = 10_000  # jobs
KEPT_ALL: Final = 40_000
KEPT_BYTES: Final = 32 * MIB
KEPT_BYTES_ALL: Final = 128 * MIB
OWED_BYTES: Final = 128 * MIB
OWED_BYTES_ALL: Final = 512 * MIB
