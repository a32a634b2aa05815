"""Migrations of the catalogue, run by `store.migrate`."""
