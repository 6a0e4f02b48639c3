"""Tenants' expressions, in processes of their own that can be killed: pool, worker, protocol, quarantine."""
