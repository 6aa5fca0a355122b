"""The unit tests: no sockets, no waiting by the clock. Their fixtures are in `conftest.py`.

What tests in several files use is in modules without `test_` in front:

    clock           turns of the event loop
    linked          a link over a made-up session, and what is sent over it
    calling         the caller's side over such a link: `Calls`
    employed        a node over such a link that works for a queue
    queue_house     a whole queue over such a link, with its store
    fakes           a chat with all that it needs, and who talks in it
    running         jobs for a runner, and tasks that they are of
    process_tasks   tasks for processes, which import them by name
    answering       a client whose jobs all end at once
    fleet_told      what nodes and queues say of themselves, for `jabot top`
    protocol_simulation   callers, workers and queues over a made-up network, from one seed
"""
