-- The time that each job of a schedule has to succeed, in seconds.
ALTER TABLE schedules ADD COLUMN timeout float8;
