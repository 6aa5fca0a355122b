"""Publish-subscribe (XEP-0060): nodes that hold items, and those who hear of them."""
