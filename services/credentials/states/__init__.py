"""What the registry's entities are, as their events say; pure."""
