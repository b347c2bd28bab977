"""Costs whose prices are looked up at the provider.

List prices only: no discounts, free tiers or savings plans.
"""
