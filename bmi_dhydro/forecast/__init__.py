"""Forecast chains, assimilation of observed flow, and hindcasts."""
