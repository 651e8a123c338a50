"""What can be set, by what it is about: each group is a part of `worker.config.settings.Settings`."""
