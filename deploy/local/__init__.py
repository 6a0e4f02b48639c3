"""The whole platform on one machine: real servers from wheels, no root, no Docker."""
