"""Tests of Live."""
