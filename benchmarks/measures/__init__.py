"""One small module for each thing that is measured."""
