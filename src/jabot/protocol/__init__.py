"""The wire between programs: frames, batches, job states and both ends. No I/O, no clock."""
