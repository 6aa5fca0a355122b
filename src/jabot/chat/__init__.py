"""A line of chat becomes a command, and a job's fate becomes lines of chat."""

from jabot.chat.chat import Chat
from jabot.chat.obeying import Message

__all__ = ["Chat", "Message"]
