"""Rooms (XEP-0045): many talk, and see each other come and go."""
