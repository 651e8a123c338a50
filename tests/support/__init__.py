"""Doubles and helpers of the tests, written by hand."""
