"""Chat programs that other people wrote, driven as a person would: by keys, on a terminal.

What they are good for here: they speak XMPP as it is spoken, not as jabot thinks that it is. Of
Debian's text-mode programs these two can sign in where only SCRAM is offered; go-sendxmpp,
sendxmpp and mcabber of Debian 12 can't.
"""

from .poezio import Poezio
from .profanity import Profanity
from .terminal import Person

__all__ = ["PROGRAMS", "Person", "Poezio", "Profanity"]

PROGRAMS: dict[str, type[Person]] = {each.program: each for each in (Profanity, Poezio)}
