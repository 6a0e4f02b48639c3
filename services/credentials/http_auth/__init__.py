"""Answers brokers that ask by HTTP whether a device may connect, publish and subscribe; off by default.

The answers come from the same directory and filters as the hosted broker's. Each broker has a module of its own
for its form; `judge` decides, `app` reads requests.
"""
