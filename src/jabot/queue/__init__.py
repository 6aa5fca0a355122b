"""The durable queue: jobs on disk, handed to workers, and to others when a worker is lost."""
