"""A running system for schemathesis, which speaks to it over HTTP from plain functions."""

from tests.e2e.conftest import system

__all__ = ["system"]
