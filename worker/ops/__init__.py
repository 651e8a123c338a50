"""What watches the worker: logs and health. Observers, never deciders."""
