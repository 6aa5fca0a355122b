-- Descriptions were kept with the parameters in another order than the task has: asked for anew.
UPDATE tasks SET description = NULL;
